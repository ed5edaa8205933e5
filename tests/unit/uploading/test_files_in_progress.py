"""The files of a producer from their first run to their end."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from dfud.core.version import FileVersion
from dfud.logs.completed.shards import ShardWriter
from dfud.logs.layout import LogsFolder
from dfud.messages import ChunksAcked, FileStart, FileUndelivered, FromProducer
from dfud.uploading.completed_writer import CompletedWriter
from dfud.uploading.files_in_progress import FilesInProgress
from dfud.uploading.upload import Upload
from dfud.uploading.wire import NATIVE, OPENMSISTREAM
from tests.helpers.producing import file_start


class Rig:
    """Files in progress, with what is sent to the supervisor and the rows that wait to be written."""

    def __init__(self, top: Path) -> None:
        self.sent: list[FromProducer] = []
        self.shards = ShardWriter(LogsFolder(str(top), "topic"), 0, 1)
        self.completed = CompletedWriter(self.shards, self.send, lambda: 1000.0)
        self.files = FilesInProgress(NATIVE, self.completed, self.send)

    def send(self, messages: Sequence[FromProducer]) -> None:
        self.sent.extend(messages)

    def begin(self, token: int = 1, *, is_read: bool = True) -> Upload:
        upload = self.files.begin(file_start(token, 25))
        assert upload is not None
        upload.xxh3_128 = "d" * 32 if is_read else ""
        return upload


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path)


def test_a_file_is_complete_with_its_last_acknowledgement(rig: Rig) -> None:
    upload = rig.begin()
    assert rig.files.find(1) is upload
    for number in (3, 1):
        rig.files.on_acked(upload, number, number, 1000.0)
    assert (len(rig.files), rig.shards.waiting) == (1, 0)
    rig.files.on_acked(upload, 2, 2, 1000.0)
    assert (len(rig.files), rig.shards.waiting) == (0, 1)
    assert rig.files.find(1) is None
    rig.files.on_acked(upload, 2, 2, 1000.0)  # sent once more by a second chunker
    assert rig.shards.waiting == 1


def test_a_file_is_complete_once_it_is_read_if_all_is_acknowledged_before(rig: Rig) -> None:
    upload = rig.begin(is_read=False)
    for number in (1, 2, 3):
        rig.files.on_acked(upload, number, number, 1000.0)
    assert (len(rig.files), rig.shards.waiting) == (1, 0)
    upload.xxh3_128 = "d" * 32
    rig.files.complete(upload)
    assert (len(rig.files), rig.shards.waiting) == (0, 1)


def test_a_file_that_begins_again_is_complete_when_what_is_read_then_is_acknowledged(rig: Rig) -> None:
    """It may have been rewritten at the same size and time: one digest cannot stand for the chunks of both."""
    first = rig.begin()
    rig.files.on_acked(first, 1, 1, 1000.0)
    second = rig.files.begin(file_start(1, 25, delivered=((2, 2),)))
    assert second is not None
    second.xxh3_128 = "e" * 32
    assert second._acked is not None
    assert second._acked.ranges() == ((2, 2),)
    for number in (2, 3):
        rig.files.on_acked(first, number, number, 1000.0)
    assert first.failure, "what waits to be sent again of it is not sent"
    assert rig.shards.waiting == 0
    for number in (1, 3):
        rig.files.on_acked(second, number, number, 1000.0)
    assert rig.shards.waiting == 1


def test_a_file_that_the_wire_format_cannot_carry_is_undelivered(rig: Rig) -> None:
    files = FilesInProgress(OPENMSISTREAM, rig.completed, rig.send)
    assert files.begin(FileStart(1, FileVersion(b"\xff", 25, 1), 10, (), "then", b"")) is None
    assert len(files) == 0
    assert rig.sent == [FileUndelivered(1, "its name is not UTF-8, which OpenMSIStream cannot read")]


def test_a_dropped_file_is_not_completed_by_late_acknowledgements(rig: Rig) -> None:
    upload = rig.begin()
    rig.files.drop(1)
    rig.files.drop(2)  # which is unknown
    assert upload.failure
    for number in (1, 2, 3):
        rig.files.on_acked(upload, number, number, 1000.0)
    assert (len(rig.files), rig.shards.waiting, rig.sent) == (0, 0, [])


def test_a_failed_file_is_reported_after_what_was_acknowledged(rig: Rig) -> None:
    upload = rig.begin()
    rig.files.on_acked(upload, 1, 1, 1000.0)
    rig.files.fail(upload, "refused")
    assert rig.sent == [ChunksAcked(1, ((1, 1),)), FileUndelivered(1, "refused")]
    assert upload.failure == "refused"
    assert len(rig.files) == 0


def test_the_next_thing_that_is_due_is_the_earlier_one(rig: Rig) -> None:
    assert rig.files.due_at(hurry=False) is None
    one, other = rig.begin(1), rig.begin(2)
    for number in (1, 2, 3):
        rig.files.on_acked(one, number, number, 1000.0)
    assert rig.files.due_at(hurry=False) == 1000.5  # progress was made before it was complete
    rig.files.write_due(1000.5, hurry=False)
    assert rig.files.due_at(hurry=False) == 1001.0
    rig.files.on_acked(other, 1, 1, 1000.1)
    assert rig.files.due_at(hurry=False) == 1000.6
