"""When files that could not be read, or that keep changing, are tried again."""

from __future__ import annotations

import heapq
from collections.abc import Iterator


class RetrySchedule:
    """Tokens of uploads and the times at which their pauses end; adding and finding the next is O(log n)."""

    def __init__(self) -> None:
        self._times: dict[int, float] = {}  # s, monotonic
        self._heap: list[tuple[float, int]] = []  # of (time, token), some of them discarded since

    def __len__(self) -> int:
        """Count the uploads."""
        return len(self._times)

    def add(self, token: int, time: float) -> None:
        """Schedule `token`, which must not be scheduled already, for `time` (s, monotonic)."""
        self._times[token] = time
        heapq.heappush(self._heap, (time, token))

    def discard(self, token: int) -> None:
        """Remove `token`."""
        self._times.pop(token, None)

    def time_of(self, token: int) -> float:
        """Return when the pause of `token` ends (s, monotonic); KeyError if it is not scheduled."""
        return self._times[token]

    @property
    def next_time(self) -> float | None:
        """When the next pause ends (s, monotonic), or None."""
        while self._heap:
            time, token = self._heap[0]
            if self._times.get(token) == time:
                return time
            heapq.heappop(self._heap)
        return None

    def pop_due(self, now: float) -> Iterator[int]:
        """Remove and yield the tokens whose pauses have ended at `now` (s, monotonic)."""
        while (time := self.next_time) is not None and time <= now:
            _, token = heapq.heappop(self._heap)
            del self._times[token]
            yield token
