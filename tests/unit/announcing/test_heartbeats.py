"""The counts of the heartbeats add up to what was acknowledged, whatever becomes of single ones."""

from __future__ import annotations

import json
import os
from datetime import datetime, timezone
from pathlib import Path

import msgspec
import pytest

from dfud.announcing.heartbeat_format import decode, decode_details, with_free_bytes
from dfud.announcing.heartbeats import Heartbeats
from dfud.logs.upload_status import (
    MAX_CAUSES,
    MAX_FINDINGS,
    MAX_RECEIVERS,
    MAX_STALLS,
    Acknowledged,
    BrokerStatus,
    Cause,
    Failures,
    KafkaStatus,
    OldestFile,
    ReceiverStatus,
    Stall,
    TopicFinding,
    UploadStatus,
)
from tests.helpers.statuses import upload_status

STATUS = upload_status()
NOON = datetime(2026, 1, 2, 12, tzinfo=timezone.utc)


def status(chunks: int, size: int) -> UploadStatus:
    return msgspec.structs.replace(STATUS, acknowledged=Acknowledged(size, chunks))


def counts(value: bytes) -> tuple[int, int]:
    fields = json.loads(value)
    return fields["n_messages_produced"], fields["n_bytes_produced"]


def test_a_heartbeat_is_that_of_openmsistream_with_what_dfud_says_of_the_upload() -> None:
    value = Heartbeats(900.0, lambda: NOON).take(1, lambda: status(2, 30))
    assert value.startswith(
        b'{"timestamp": "2026-01-02T12:00:00+00:00", "n_messages_produced": 2, "n_bytes_produced": 30, "dfud": {'
    )
    counted, details = decode(value)
    assert counted == ("2026-01-02T12:00:00+00:00", 2, 30)
    said = decode_details(details)
    assert (said.interval_s, said.directory, said.acknowledged) == (900.0, "/data", Acknowledged(30, 2))


def test_what_is_long_is_cut_and_the_longest_paths_are_not_too_much() -> None:
    path = "\\xff" * 4095
    long = upload_status(
        directory=path,
        oldest=OldestFile(path, "x" * 40, 1.0),
        broker=BrokerStatus("unreachable", "x" * 1000),
        failures=Failures(causes=(Cause("x" * 1000, True, 1, path),) * MAX_CAUSES),
        stalls=(Stall("x" * 100, "x" * 1000, ""),) * MAX_STALLS,
        topic_findings=(TopicFinding(True, "x" * 1000),) * MAX_FINDINGS,
        receivers=tuple(ReceiverStatus("é" * (450 + n)) for n in range(MAX_RECEIVERS)),
        retention_risk="x" * 1000,
        kafka=KafkaStatus(),
    )
    said = decode_details(decode(Heartbeats(1.0).take(1, lambda: long))[1])
    assert said.oldest == long.oldest
    assert (said.kafka, len(said.receivers)) == (None, 8)


def test_the_free_space_of_a_directory_is_added_if_it_can_be_found_out(tmp_path: Path) -> None:
    value = Heartbeats(1.0).take(1, lambda: STATUS)
    room = os.statvfs(tmp_path)
    said = decode_details(decode(with_free_bytes(str(tmp_path), value))[1]).directory_free_bytes
    assert said == pytest.approx(room.f_bavail * room.f_frsize, rel=0.1)
    assert with_free_bytes(str(tmp_path / "gone"), value) == value


def test_each_counts_what_is_new_since_the_last_one() -> None:
    beats = Heartbeats(1.0)
    assert counts(beats.take(1, lambda: status(2, 30))) == (2, 30)
    beats.on_sent(1)
    assert counts(beats.take(2, lambda: status(5, 31))) == (3, 1)
    beats.on_sent(2)
    assert counts(beats.take(3, lambda: status(5, 31))) == (0, 0)


def test_what_a_lost_one_counted_is_counted_by_the_next() -> None:
    beats = Heartbeats(1.0)
    beats.take(1, lambda: status(2, 30))
    beats.take(2, lambda: status(3, 40))  # the last one of a run does not wait for the one before
    beats.on_sent(2)
    beats.on_failed(1, False)
    assert counts(beats.take(3, lambda: status(4, 45))) == (3, 35)
