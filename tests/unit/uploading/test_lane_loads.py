"""A lane is picked by the bytes it has to send and by its chunker's room for a file of that size."""

from __future__ import annotations

import pytest

from dfud.core.version import FileVersion
from dfud.uploading.entry import SMALL_FILE_BYTES, Entry
from dfud.uploading.lane_loads import LaneLoads


def with_lane(lane: int, size: int) -> Entry:
    entry = Entry(1, FileVersion(b"file", size, 1), 4096, "then")
    entry.lane = lane
    return entry


def test_the_lane_with_the_fewest_bytes_is_picked_and_the_first_of_equal_ones() -> None:
    loads = LaneLoads(3)
    assert loads.pick(small=False) == 0
    loads.add(with_lane(0, 30))
    assert loads.pick(small=False) == 1
    loads.add(with_lane(1, 20))
    loads.add(with_lane(2, 10))
    assert loads.pick(small=False) == 2
    assert loads.bytes == [30, 20, 10]


def test_small_files_go_to_one_lane_until_that_has_enough_to_read() -> None:
    loads = LaneLoads(2)
    entries = [with_lane(0, 1) for _ in range(512)]
    for entry in entries:
        assert loads.pick(small=True) == 0
        loads.add(entry)
    assert loads.pick(small=True) == 1
    loads.mark_read(entries[0])
    assert loads.pick(small=True) == 1, "it goes on where it is"


def test_small_files_go_to_another_lane_while_theirs_has_much_more_to_send() -> None:
    loads = LaneLoads(2)
    loads.add(with_lane(0, 1 << 20))
    assert loads.pick(small=True) == 0
    loads.add(with_lane(0, 1))
    assert loads.pick(small=True) == 1
    loads.add(with_lane(1, 1 << 20))
    assert loads.pick(small=True) == 1, "it goes on where it is"


@pytest.mark.parametrize(
    ("size", "limit"),
    [(1, 1024), (SMALL_FILE_BYTES, 1024), (SMALL_FILE_BYTES + 1, 6)],
    ids=["tiny", "small", "large"],
)
def test_a_chunker_has_room_for_so_many_files_that_it_has_not_read(size: int, limit: int) -> None:
    small = size <= SMALL_FILE_BYTES
    loads = LaneLoads(1)
    entries = [with_lane(0, size) for _ in range(limit)]
    for entry in entries:
        assert loads.pick(small) == 0
        loads.add(entry)
    assert loads.pick(small) is None
    assert loads.pick(not small) == 0, "files of the other kind have room of their own"
    loads.mark_read(entries[0])
    assert entries[0].is_read
    assert loads.pick(small) == 0
    assert loads.bytes == [limit * size], "read is not acknowledged"


def test_a_lane_without_room_is_passed_over_however_little_it_has_to_send() -> None:
    loads = LaneLoads(2)
    for _ in range(1024):
        loads.add(with_lane(0, 1))
    loads.add(with_lane(1, SMALL_FILE_BYTES))
    assert (loads.pick(small=True), loads.pick(small=False)) == (1, 0)


@pytest.mark.parametrize("size", [10, 1 << 30], ids=["small", "large"])
@pytest.mark.parametrize("is_read", [False, True], ids=["unread", "read"])
def test_what_leaves_a_lane_no_longer_counts(size: int, is_read: bool) -> None:
    loads = LaneLoads(2)
    entries = [with_lane(1, size), with_lane(1, size)]
    for entry in entries:
        loads.add(entry)
    if is_read:
        loads.mark_read(entries[0])
    loads.remove(entries[0])
    large = size == 1 << 30
    assert loads.bytes == [0, size]
    assert loads.unread == [[0, 0], [not large, large]]
