"""An entry is in one place at a time, and what is counted of all entries follows."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from dfud.core.ranges import RangeSet
from dfud.core.version import UNKNOWN_STAMP, FileStamp, FileVersion
from dfud.uploading.entries import Entries
from dfud.uploading.entry import Entry, State

LARGE = 1 << 30


@pytest.fixture
def entries() -> Entries:
    return Entries(2)


def add(entries: Entries, path: bytes, size: int = 10, mtime_ns: int = 1, after: Entry | None = None) -> Entry:
    return entries.add(FileVersion(path, size, mtime_ns), UNKNOWN_STAMP, 4, "then", after)


def test_entries_have_tokens_that_are_never_used_again(entries: Entries) -> None:
    one, other = add(entries, b"a"), add(entries, b"b")
    assert (one.token, other.token, len(entries)) == (1, 2, 2)
    entries.wait(other)
    entries.forget(other)
    third = add(entries, b"b")
    assert third.token == 3
    assert list(entries) == [one, third]
    assert entries.by_token == {1: one, 3: third}


def test_an_added_entry_is_as_it_was_asked_for(entries: Entries) -> None:
    version = FileVersion(b"a", 10, 1)
    stamp = FileStamp(7, 42)
    entry = entries.add(version, stamp, 4, "then", None, b"identity")
    assert (entry.version, entry.stamp, entry.chunk_size, entry.started) == (version, stamp, 4, "then")
    assert entry.identity == b"identity"
    assert entries.add(version, stamp, 4, "then", None).identity == version.identity()


def test_a_newer_version_supersedes_an_earlier_one_and_inherits_its_lane(entries: Entries) -> None:
    earlier = add(entries, b"a")
    entries.enter_lane(earlier, 1)
    newer = add(entries, b"a", mtime_ns=2, after=earlier)
    assert newer.lane == 1
    assert entries.is_superseded(earlier)
    assert not entries.is_superseded(newer)
    entries.forget(earlier)
    assert entries.latest == {b"a": newer}
    entries.forget(newer)
    assert (entries.latest, len(entries)) == ({}, 0)


@pytest.mark.parametrize("size", [10, LARGE], ids=["small", "large"])
def test_files_wait_in_the_queue_of_their_size(entries: Entries, size: int) -> None:
    one, other, first = (add(entries, path, size) for path in (b"a", b"b", b"c"))
    entries.wait(one)
    entries.wait(other)
    entries.wait(first, first=True)
    queue = entries.waiting_large if size == LARGE else entries.waiting_small
    assert list(queue.items()) == [(3, first), (1, one), (2, other)]
    assert {entry.state for entry in entries} == {State.WAITING}
    assert len(entries.waiting_small) + len(entries.waiting_large) == 3
    entries.enter_lane(one, 0)
    assert list(queue) == [3, 2]


def test_what_waits_has_no_failure(entries: Entries) -> None:
    entry = add(entries, b"a")
    entries.end(entry, State.FAILED, "refused")
    entries.wait(entry)
    assert (entry.failure, entries.n_ended) == ("", 0)


def test_an_entry_that_enters_a_lane_is_unread(entries: Entries) -> None:
    entry = add(entries, b"a")
    entries.wait(entry)
    entry.is_read = entry.seen_again = True
    entries.enter_lane(entry, 1)
    assert (entry.state, entry.lane, entry.is_read, entry.seen_again) == (State.ACTIVE, 1, False, False)
    assert entries.with_lane == {b"a": entry}
    assert (entries.loads.bytes, entries.loads.unread) == ([0, 10], [[0, 0], [1, 0]])
    entries.forget(entry)
    assert (entries.loads.bytes, entries.loads.unread, entries.with_lane) == ([0, 0], [[0, 0], [0, 0]], {})


@pytest.mark.parametrize("mixed", [False, True])
@pytest.mark.parametrize("acked", [False, True])
def test_an_entry_of_which_chunks_are_acknowledged_is_mixed_once_it_is_read_again(
    entries: Entries, mixed: bool, acked: bool
) -> None:
    entry = add(entries, b"a")
    entry.mixed = mixed
    entry.acked = RangeSet([(1, 1)] if acked else [])
    entries.enter_lane(entry, 0)
    assert entry.mixed is (mixed or acked)


@pytest.mark.parametrize("waits", [False, True], ids=["given up", "waiting"])
def test_the_latest_version_follows_the_one_with_a_lane(entries: Entries, waits: bool) -> None:
    earlier, other = add(entries, b"a"), add(entries, b"b")
    entries.enter_lane(earlier, 0)
    newer = add(entries, b"a", mtime_ns=2, after=earlier)
    entries.wait(newer)
    assert newer.state is State.BEHIND
    assert not entries.waiting_small
    if not waits:
        entries.end(newer, State.FAILED, "away")
    entries.wait(other)
    entries.forget(earlier)
    assert newer.state is (State.WAITING if waits else State.FAILED)
    assert list(entries.waiting_small.values()) == [other, newer][: 1 + waits]


def test_a_lane_that_is_left_by_the_only_version_has_nothing_to_follow(entries: Entries) -> None:
    entry = add(entries, b"a")
    entries.enter_lane(entry, 0)
    entries.pause_until(entry, 100.0)
    assert entry.state is State.PAUSED
    assert not entries.waiting_small
    assert entries.with_lane == {}


@pytest.mark.parametrize(
    ("attempts", "pause"), [(0, 1.0), (1, 2.0), (2, 4.0), (4, 16.0), (5, 30.0), (100_000, 30.0)]
)
def test_pauses_are_doubled_up_to_a_limit(entries: Entries, attempts: int, pause: float) -> None:
    entry = add(entries, b"a")
    entries.pause(entry, attempts, 100.0)
    assert (entry.state, entry.attempts) == (State.PAUSED, attempts + 1)
    assert entries.retries.time_of(entry.token) == 100.0 + pause
    assert (entry.token in entries.last_tries) is (attempts > 0)


@pytest.mark.parametrize("attempts", [0, 1])
def test_what_leaves_a_pause_is_no_longer_due(entries: Entries, attempts: int) -> None:
    entry = add(entries, b"a")
    entries.pause(entry, attempts, 100.0)
    entries.wait(entry)
    assert (entries.retries.next_time, entries.last_tries) == (None, {})


@pytest.mark.parametrize("state", [State.HELD, State.FAILED])
def test_ended_entries_are_counted(entries: Entries, state: State) -> None:
    one, other = add(entries, b"a"), add(entries, b"b")
    for number, entry in enumerate((one, other), start=1):
        entries.end(entry, state, "refused")
        assert (entry.state, entry.failure, entries.n_ended) == (state, "refused", number)
    entries.wait(one)
    assert entries.n_ended == 1


def test_given_up_entries_are_counted_and_stay_with_their_lane(entries: Entries) -> None:
    one, other = add(entries, b"a"), add(entries, b"b")
    for number, entry in enumerate((one, other), start=1):
        entries.enter_lane(entry, 0)
        entries.give_up(entry)
        assert (entry.state, entries.n_ended) == (State.GIVEN_UP, number)
    assert entries.with_lane == {b"a": one, b"b": other}
    entries.end(one, State.FAILED, "away")
    assert (entries.n_ended, entries.with_lane) == (2, {b"b": other})
    entries.forget(other)
    assert (entries.n_ended, entries.with_lane) == (1, {})


@pytest.mark.parametrize(
    "change",
    [
        lambda entries, entry: add(entries, b"b"),
        lambda entries, entry: entries.forget(entry),
        lambda entries, entry: entries.end(entry, State.FAILED, "refused"),
        lambda entries, entry: entries.give_up(entry),
    ],
    ids=["added", "forgotten", "failed", "given up"],
)
def test_what_the_table_shows_is_a_change(entries: Entries, change: Callable[[Entries, Entry], object]) -> None:
    assert entries.changed is False
    entry = add(entries, b"a")
    entries.enter_lane(entry, 0)
    entries.changed = False
    change(entries, entry)
    assert entries.changed is True


def test_what_the_table_does_not_show_is_not_a_change(entries: Entries) -> None:
    entry = add(entries, b"a")
    entries.changed = False
    entries.wait(entry)
    entries.enter_lane(entry, 0)
    entries.pause(entry, 0, 100.0)
    assert entries.changed is False
