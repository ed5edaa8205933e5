"""Times, and how long ago they were."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from dfud.core.elapsed import parse_time, seconds_since

NOW = datetime(2026, 3, 1, 10, tzinfo=timezone.utc)


def test_a_time_without_an_offset_is_in_utc() -> None:
    assert parse_time("2026-03-01T10:00:00") == NOW
    assert parse_time("2026-03-01T11:00:00.000+01:00") == NOW
    assert parse_time("now") is None


def test_how_long_ago_a_time_was() -> None:
    assert seconds_since((NOW - timedelta(minutes=2)).isoformat(), NOW) == 120.0
    assert seconds_since("now", NOW) == float("inf")
