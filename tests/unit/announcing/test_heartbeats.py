"""The counts of the heartbeats add up to what was acknowledged, whatever becomes of single ones."""

from __future__ import annotations

import json
from datetime import datetime, timezone

import msgspec

from dfud.announcing.heartbeats import Heartbeats
from dfud.logs.upload_status import Acknowledged, UploadStatus
from tests.helpers.statuses import upload_status

STATUS = upload_status()
NOON = datetime(2026, 1, 2, 12, tzinfo=timezone.utc)


def status(chunks: int, size: int) -> UploadStatus:
    return msgspec.structs.replace(STATUS, acknowledged=Acknowledged(size, chunks))


def counts(value: bytes) -> tuple[int, int]:
    fields = json.loads(value)
    return fields["n_messages_produced"], fields["n_bytes_produced"]


def test_a_heartbeat_is_that_of_openmsistream() -> None:
    value = Heartbeats(lambda: NOON).take(1, lambda: status(2, 30))
    assert value == (
        b'{"timestamp": "2026-01-02T12:00:00+00:00", "n_messages_produced": 2, "n_bytes_produced": 30}'
    )


def test_each_counts_what_is_new_since_the_last_one() -> None:
    beats = Heartbeats()
    assert counts(beats.take(1, lambda: status(2, 30))) == (2, 30)
    beats.on_sent(1)
    assert counts(beats.take(2, lambda: status(5, 31))) == (3, 1)
    beats.on_sent(2)
    assert counts(beats.take(3, lambda: status(5, 31))) == (0, 0)


def test_what_a_lost_one_counted_is_counted_by_the_next() -> None:
    beats = Heartbeats()
    beats.take(1, lambda: status(2, 30))
    beats.take(2, lambda: status(3, 40))  # the last one of a run does not wait for the one before
    beats.on_sent(2)
    beats.on_failed(1, False)
    assert counts(beats.take(3, lambda: status(4, 45))) == (3, 35)
