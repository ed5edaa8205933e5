"""Noticing that librdkafka never finishes to unpack a batch.

Of a gzip stream that ends too early librdkafka 2.16 expects more for ever: its thread is busy, and reads no more.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping

_INTERVAL_S = 10.0
_MIN_LOAD = 0.8  # of one thread
_TASKS = "/proc/self/task"
_NAMES = b"rdk:"  # what the names of librdkafka's threads begin with


def _busy_seconds() -> float:
    """Return for how long librdkafka's threads have run, or have waited for a processor."""
    nanoseconds = 0
    for thread in os.listdir(_TASKS):
        try:
            with open(f"{_TASKS}/{thread}/comm", "rb") as file:
                if not file.read().startswith(_NAMES):
                    continue
            with open(f"{_TASKS}/{thread}/schedstat", encoding="ascii") as file:
                running, waiting, _ = file.read().split()
        except OSError:  # it has ended, or the kernel does not count
            continue
        nanoseconds += int(running) + int(waiting)
    return nanoseconds / 1e9


def stuck_text(offsets: Mapping[int, int]) -> str:
    """Return what to say of a client that is stuck somewhere after these offsets, by partition."""
    places = " or ".join(f"partition {number} from offset {offsets[number]} on" for number in sorted(offsets)[:5])
    return (
        f"a compressed batch is damaged so that it can neither be unpacked nor be skipped, in {places}; "
        "delete it with kafka-delete-records"
    )


class BusyClient:
    """Responsible for telling a client that is busy for itself from one that waits for the broker."""

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        busy_seconds: Callable[[], float] = _busy_seconds,
    ) -> None:
        """`busy_seconds` returns for how long the client's threads have had work, all together."""
        self._clock = clock
        self._busy_seconds = busy_seconds
        self.on_read()

    def on_read(self) -> None:
        """Note that the client has delivered something, or has nothing to deliver."""
        self.is_stuck = False  # the client has worked for some time, and has delivered nothing
        self._since: float | None = None  # when it was last looked at
        self._busy_before = 0.0  # its work until then (s)

    def check(self) -> bool:
        """Look at the client now and then, while it delivers nothing; return whether it is stuck."""
        now = self._clock()
        if self._since is None or (now >= self._since + _INTERVAL_S and not self.is_stuck):
            busy = self._busy_seconds()
            if self._since is not None:
                self.is_stuck = busy - self._busy_before >= _MIN_LOAD * (now - self._since)
            self._since, self._busy_before = now, busy
        return self.is_stuck
