"""What becomes of each row that an earlier run left."""

from __future__ import annotations

import errno
import logging
import os
from functools import partial
from pathlib import Path

import pytest

from dfud.core.ranges import RangeSet
from dfud.core.tables import InProgressRow, in_progress_row
from dfud.core.version import UNKNOWN_STAMP, FileStamp, FileVersion
from dfud.files.links import LinkPolicy
from dfud.files.openat import DEFAULT_LINKS
from dfud.uploading.chunk_limit import ChunkLimit
from dfud.uploading.ledger import Ledger
from dfud.uploading.resume import PresentVersion, present_version, resume_rows
from tests.helpers.recorded import recorded_versions

V1, V2 = FileVersion(b"file", 10, 1), FileVersion(b"file", 10, 2)
STAMP = FileStamp(7, 42)
PARTLY = in_progress_row(V1, 4, RangeSet([(1, 1)]), "before", STAMP)
UNSENT = in_progress_row(V1, 4, RangeSet(), "before", STAMP)


def resume(
    row: InProgressRow,
    present: FileVersion | None,
    caplog: pytest.LogCaptureFixture,
    recorded: bool = False,
    stamp: FileStamp = STAMP,
    max_message_bytes: int | None = None,
) -> Ledger:
    """Return the ledger after `row` was resumed; the file is recorded, is `present`, or does not exist."""
    known = {V1: b"\xab" * 16} if recorded else {}
    ledger = Ledger(4, 1, recorded_versions(known), lambda: "then")
    log = logging.Logger("test")
    log.addHandler(caplog.handler)

    def find(path: bytes) -> PresentVersion:
        assert path == b"file"
        if present is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        return PresentVersion(present, stamp)

    resume_rows([row], ledger, find, ChunkLimit("topic", max_message_bytes, {}), log)
    return ledger


def test_what_is_left_of_an_unchanged_file_is_sent(caplog: pytest.LogCaptureFixture) -> None:
    ledger = resume(PARTLY, V1, caplog)
    ((_, task),) = ledger.dispatch()
    assert (task.to_send, task.started) == (((2, 3),), "before")
    assert caplog.messages == ["file: 2 of 3 chunks still to send"]


def test_a_file_whose_chunks_can_no_longer_be_sent_begins_again(caplog: pytest.LogCaptureFixture) -> None:
    row = in_progress_row(V1, 8, RangeSet([(1, 1)]), "before", STAMP)
    ledger = resume(row, V1, caplog, max_message_bytes=1000)
    ((_, task),) = ledger.dispatch()
    assert (task.chunk_size, task.to_send) == (4, ((1, 3),))
    assert caplog.messages == [
        "file was being uploaded in chunks of 8 bytes, which can no longer be sent (topic topic takes messages of "
        "at most max.message.bytes = 1000): uploading all of it again, in smaller ones"
    ]


def test_a_file_that_changed_is_sent_as_a_whole(caplog: pytest.LogCaptureFixture) -> None:
    ledger = resume(PARTLY, V2, caplog)
    ((_, task),) = ledger.dispatch()
    assert (task.version, task.to_send) == (V2, ((1, 3),))
    assert caplog.messages == ["file has changed since parts of it were uploaded: uploading all of it again"]


@pytest.mark.parametrize(
    ("stamp", "reason"),
    [
        (FileStamp(8, 42), "it was changed since (ctime)"),
        (FileStamp(7, 43), "it is another file (inode)"),
        (FileStamp(8, 43), "it is another file (inode)"),
    ],
)
def test_a_file_that_changed_behind_its_size_and_time_is_sent_as_a_whole(
    stamp: FileStamp, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    ledger = resume(PARTLY, V1, caplog, stamp=stamp)
    (row,) = ledger.rows()
    assert (row.n_chunks_delivered, row.ctime_ns, row.inode) == (0, *stamp)
    ((_, task),) = ledger.dispatch()
    assert task.to_send == ((1, 3),)
    assert caplog.messages == [
        "file has the same size and modification time as when parts of it were uploaded, "
        f"but {reason}: uploading all of it again"
    ]


def test_a_row_without_a_stamp_is_believed(caplog: pytest.LogCaptureFixture) -> None:
    ledger = resume(in_progress_row(V1, 4, RangeSet([(1, 1)]), "before"), V1, caplog)
    ((_, task),) = ledger.dispatch()
    assert (task.to_send, task.stamp) == (((2, 3),), STAMP)
    assert ledger.rows() == [PARTLY]


def test_where_the_file_system_has_no_inodes_and_times_of_change_the_row_is_believed(
    caplog: pytest.LogCaptureFixture,
) -> None:
    ledger = resume(PARTLY, V1, caplog, stamp=UNKNOWN_STAMP)
    ((_, task),) = ledger.dispatch()
    assert task.to_send == ((2, 3),)


def test_a_file_of_which_nothing_was_sent_may_have_changed(caplog: pytest.LogCaptureFixture) -> None:
    ledger = resume(UNSENT, V1, caplog, stamp=FileStamp(8, 43))
    ((_, task),) = ledger.dispatch()
    assert task.to_send == ((1, 3),)
    assert caplog.messages == ["file: 3 of 3 chunks still to send"]


def test_a_file_that_is_both_recorded_and_in_progress_is_compared(caplog: pytest.LogCaptureFixture) -> None:
    """A crash came between the two tables, or the file was closed again with its size and time."""
    ledger = resume(PARTLY, V1, caplog, recorded=True)
    ((_, task),) = ledger.dispatch()
    assert (task.known_digest, task.to_send) == ("ab" * 16, ())
    assert ledger.rows() == []
    assert caplog.messages == ["file is already uploaded: comparing its content with what was sent"]


def test_a_file_that_was_sent_in_part_and_is_gone_is_kept_as_failed(caplog: pytest.LogCaptureFixture) -> None:
    ledger = resume(PARTLY, None, caplog)
    (entry,) = ledger.undelivered
    assert entry.failure == "No such file or directory: 2 chunks of it cannot be sent"
    assert ledger.rows() == [PARTLY]
    assert ledger.open_files == 0
    assert caplog.records[0].levelno == logging.ERROR


@pytest.mark.parametrize(
    ("row", "recorded", "level"), [(UNSENT, False, logging.WARNING), (PARTLY, True, logging.INFO)]
)
def test_a_file_that_is_gone_and_needs_nothing_is_forgotten(
    row: InProgressRow, recorded: bool, level: int, caplog: pytest.LogCaptureFixture
) -> None:
    ledger = resume(row, None, caplog, recorded)
    assert ledger.rows() == []
    assert ledger.undelivered == []
    assert ledger.open_files == 0
    assert [record.levelno for record in caplog.records] == [level]


def test_the_present_version_is_that_of_the_file_below_the_directory(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    path = tmp_path / "folder" / "file"
    path.write_bytes(b"12345")
    os.utime(path, ns=(1, 42))
    dir_fd = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        status = path.stat()
        stamp = FileStamp(status.st_ctime_ns, status.st_ino)
        assert present_version(dir_fd, DEFAULT_LINKS, b"folder/file") == (
            FileVersion(b"folder/file", 5, 42),
            stamp,
        )
        with pytest.raises(FileNotFoundError):
            present_version(dir_fd, DEFAULT_LINKS, b"folder/other")
    finally:
        os.close(dir_fd)


def test_a_file_that_is_a_folder_now_is_skipped(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").mkdir()
    dir_fd = os.open(tmp_path, os.O_RDONLY)
    ledger = Ledger(4, 1, recorded_versions(), lambda: "then")
    log = logging.Logger("test")
    log.addHandler(caplog.handler)
    resume_rows(
        [PARTLY], ledger, partial(present_version, dir_fd, LinkPolicy()), ChunkLimit("topic", None, {}), log
    )
    os.close(dir_fd)
    assert (ledger.open_files, ledger.rows()) == (0, [])
    assert caplog.messages == ["file was to be uploaded and is no file any more (Is a directory): skipped"]
