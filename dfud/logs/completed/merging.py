"""The order of the rows of several lanes: that in which their files were completed.

Each lane's rows are in order in its shards; between lanes their times tell. A file may move from one lane to
another between two of its versions, and of these the last row must be the last in the table.
"""

from __future__ import annotations

import os
import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from datetime import datetime
from operator import itemgetter
from typing import Any, TypeVar

Item = TypeVar("Item")
Timed = tuple[float, Item]  # when it was completed (s since 1970)

_SHARD = re.compile(r"[~_]p(\d+)(?:_(\d+))?\.csv$", re.IGNORECASE)


def by_lane(shards: Iterable[str]) -> list[list[str]]:
    """Return the paths of shards lane by lane, each lane's oldest first, and first the lane of the oldest one."""
    lanes: dict[int, list[tuple[int, str]]] = {}
    for path in shards:
        match = _SHARD.search(os.path.basename(path))
        lane, sequence = (int(match[1]), int(match[2] or 0)) if match else (0, 0)
        lanes.setdefault(lane, []).append((sequence, path))
    return [[path for _, path in lane] for lane in sorted(map(sorted, lanes.values()))]


class LaneTimes:
    """The times of one lane's rows, which never go back, whoever has set the clock or edited the table."""

    def __init__(self) -> None:
        self._latest = float("-inf")
        self._text = ""  # of the row before; many rows have one time

    def __call__(self, completed: str) -> float:
        """Return the time of the next row; that of the one before if it is earlier, or no time at all."""
        if completed != self._text:
            self._text = completed
            self._latest = max(self._latest, parse_time(completed))
        return self._latest


def parse_time(text: str) -> float:
    """Return an ISO 8601 time as s since 1970; minus infinity if it is none."""
    try:
        return datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError):
        return float("-inf")


def merge_lanes(lanes: Iterable[Iterator[list[Timed[Item]]]]) -> Iterator[Item]:
    """Yield the items of all lanes in the order of their times, each lane's in its own order.

    A lane yields lists of items, of which each time is at least that of the one before.
    """
    waiting: list[tuple[list[Timed[Item]], Iterator[list[Timed[Item]]]]] = []
    for lane in lanes:
        waiting += _next_batch(lane)
    while waiting:
        # What follows is later than the end of each list: up to the first of these ends everything is known.
        end = min(batch[-1][0] for batch, _ in waiting)
        known: list[Timed[Item]] = []
        left = []
        for batch, lane in waiting:
            n_known = bisect_right(_Times(batch), end)
            known += batch[:n_known]
            left += [(batch[n_known:], lane)] if n_known < len(batch) else _next_batch(lane)
        waiting = left
        known.sort(key=itemgetter(0))
        for _, item in known:
            yield item


def _next_batch(
    lane: Iterator[list[Timed[Item]]],
) -> list[tuple[list[Timed[Item]], Iterator[list[Timed[Item]]]]]:
    """Return the next list of a lane that is not empty, with the lane; nothing at its end."""
    return next(([(batch, lane)] for batch in lane if batch), [])


class _Times:
    """The times of a list, for `bisect`."""

    def __init__(self, batch: list[Timed[Any]]) -> None:
        self._batch = batch

    def __len__(self) -> int:
        return len(self._batch)

    def __getitem__(self, at: int) -> float:
        return self._batch[at][0]
