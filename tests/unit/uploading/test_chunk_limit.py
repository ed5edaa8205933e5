"""Which chunks of an earlier run can still be sent."""

from __future__ import annotations

import pytest

from dfud.core.ranges import RangeSet
from dfud.core.tables import InProgressRow, in_progress_row
from dfud.core.version import FileVersion
from dfud.uploading.chunk_limit import ChunkLimit

LARGE, SMALL = 4 << 20, 1 << 14


def row(chunk_size: int, size: int = 100 << 20) -> InProgressRow:
    return in_progress_row(FileVersion(b"file", size, 1), chunk_size, RangeSet(), "then")


@pytest.mark.parametrize(
    ("limit", "setting"),
    [
        (ChunkLimit("T", None, {}), ""),
        (ChunkLimit("T", LARGE + 2000, {}), ""),
        (ChunkLimit("T", LARGE, {}), "topic T takes messages of at most max.message.bytes = 4194304"),
        (ChunkLimit("T", None, {"message.max.bytes": "1000000"}), "message.max.bytes = 1000000"),
        (ChunkLimit("T", None, {"queue.buffering.max.kbytes": "500"}), "queue.buffering.max.kbytes = 500"),
    ],
)
def test_the_obstacle_is_named(limit: ChunkLimit, setting: str) -> None:
    obstacle = limit.obstacle(row(LARGE))
    assert setting in obstacle
    assert bool(setting) == bool(obstacle)
    assert limit.obstacle(row(SMALL)) == ""
    assert limit.obstacle(row(LARGE, size=100)) == "", "its chunk is no larger than the file"


def test_the_client_has_room_for_the_largest_chunk_that_is_really_sent() -> None:
    limit = ChunkLimit("T", LARGE + 2000, {"batch.size": "1000"})
    largest = limit.largest_sendable([row(SMALL), row(LARGE), row(2 * LARGE), row(4 * LARGE, size=100)])
    assert largest == LARGE
    properties = limit.with_room({"message.max.bytes": 1_000_000, "batch.size": "1000", "acks": "all"}, largest)
    assert properties["message.max.bytes"] > LARGE
    assert properties["queue.buffering.max.kbytes"] * 1024 > 4 * LARGE
    assert (properties["batch.size"], properties["acks"]) == ("1000", "all")
