"""What an entry derives from a version, and the task that a chunker gets for it."""

from __future__ import annotations

from dfud.core.ranges import RangeSet
from dfud.core.version import FileVersion
from dfud.messages import FileTask
from dfud.uploading.entry import SMALL_FILE_BYTES, Entry, State

V = FileVersion(b"file", 10, 1)


def test_a_new_entry_has_nothing_acknowledged_and_has_never_been_with_a_lane() -> None:
    entry = Entry(7, V, 4, "then")
    assert (entry.token, entry.version, entry.chunk_size, entry.n_chunks, entry.started) == (7, V, 4, 3, "then")
    assert entry.identity == V.identity()
    assert entry.state is State.BEHIND
    assert entry.lane == -1
    assert (entry.is_read, entry.seen_again, entry.recheck, entry.mixed) == (False,) * 4
    assert (entry.known_digest, entry.failure, entry.attempts) == ("", "", 0)
    assert not entry.acked


def test_an_identity_that_is_computed_already_is_not_computed_again() -> None:
    assert Entry(1, V, 4, "then", b"identity").identity == b"identity"


def test_a_file_is_small_up_to_a_mebibyte() -> None:
    assert SMALL_FILE_BYTES == 1024 * 1024
    for size, is_small in ((0, True), (SMALL_FILE_BYTES, True), (SMALL_FILE_BYTES + 1, False)):
        assert Entry(1, FileVersion(b"file", size, 1), 4, "then").is_small is is_small


def test_the_task_asks_for_the_chunks_that_are_not_acknowledged() -> None:
    entry = Entry(7, V, 4, "then")
    assert entry.task() == FileTask(7, V, 4, ((1, 3),), "then", "")
    entry.acked = RangeSet([(2, 2)])
    assert entry.task() == FileTask(7, V, 4, ((1, 1), (3, 3)), "then", "")
    entry.known_digest = "ab"
    assert entry.task() == FileTask(7, V, 4, (), "then", "ab")


def test_an_empty_file_has_one_chunk() -> None:
    assert Entry(1, FileVersion(b"file", 0, 1), 4, "then").task().to_send == ((1, 1),)


def test_chunks_of_a_file_that_was_closed_again_are_not_delivered() -> None:
    entry = Entry(1, V, 4, "then")
    entry.acked = RangeSet([(1, 2)])
    assert entry.delivered == RangeSet([(1, 2)])
    entry.recheck = True
    assert not entry.delivered
    assert entry.acked == RangeSet([(1, 2)])
