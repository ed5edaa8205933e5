"""Times as they are written into the tables."""

from __future__ import annotations

import time
from datetime import datetime

import pytest

from dfud.logs.times import IsoClock


@pytest.mark.parametrize(("zone", "offset"), [("UTC", "+00:00"), ("XXX-05:30", "+05:30"), ("XXX+03", "-03:00")])
def test_a_time_has_its_offset(zone: str, offset: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setenv("TZ", zone)
        time.tzset()
        text = IsoClock()()
    time.tzset()
    assert text.endswith(offset)
    assert len(text) == len("2026-11-24T18:00:00.000+01:00")
    assert abs(datetime.fromisoformat(text).timestamp() - time.time()) < 60


def test_the_milliseconds_go_on_within_a_second_and_beyond() -> None:
    now = [1_700_000_000_007_999_999]
    clock = IsoClock(lambda: now[0])
    milliseconds = []
    for step in (0, 1, 990_000_000, 2_000_000_000):
        now[0] += step
        milliseconds.append(datetime.fromisoformat(clock()).timestamp())
    assert milliseconds == pytest.approx(
        [1_700_000_000.007, 1_700_000_000.008, 1_700_000_000.998, 1_700_000_002.998], abs=1e-4
    )
