"""Times as they are written into the tables."""

from __future__ import annotations

import mmap
import time
from collections.abc import Callable
from datetime import datetime, timezone

MILLISECONDS, MICROSECONDS = 3, 6  # digits


class IsoClock:
    """Returns the present local time in ISO 8601 with the UTC offset.

    What does not change is formatted only once: many thousand files a second may need a time each.
    """

    def __init__(self, clock_ns: Callable[[], int] = time.time_ns, digits: int = MILLISECONDS) -> None:
        """Use `clock_ns`, which returns ns since 1970-01-01 UTC, and so many decimal `digits` of a second."""
        self._clock_ns = clock_ns
        self._digits = digits
        self._tick_ns = 10 ** (9 - digits)
        self._second = self._tick = -1
        self._before, self._after = "", ""  # the decimal digits
        self._text = ""

    def __call__(self) -> str:
        """Return the present time."""
        tick = self._clock_ns() // self._tick_ns
        if tick == self._tick:
            return self._text
        self._tick = tick
        second, rest = divmod(tick, 10**self._digits)
        if second != self._second:
            self._second = second
            text = datetime.fromtimestamp(second, timezone.utc).astimezone().isoformat()
            self._before, self._after = text[:19], text[19:]
        self._text = f"{self._before}.{rest:0{self._digits}d}{self._after}"
        return self._text


def boot_time_ns() -> int:
    """Return the time since the machine started, by a clock that nobody sets and that all processes share."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)  # goes on while the machine sleeps, as the clock does


class ForwardClock:
    """The clock for what has an order in time, whoever sets the machine's: in no process of a run it goes back.

    Once the machine's clock is set back, this one goes on from the latest time that it has returned. The processes
    are forked after it is made.
    """

    def __init__(
        self, clock_ns: Callable[[], int] = time.time_ns, steady_ns: Callable[[], int] = boot_time_ns
    ) -> None:
        """Begin with the present time."""
        self._clock_ns = clock_ns
        self._steady_ns = steady_ns
        self._offset = memoryview(mmap.mmap(-1, 8)).cast("q")  # from the steady clock to this one, in ns
        self.set_back()

    def now_ns(self) -> int:
        """Return the present time, in ns since 1970."""
        clock = self._clock_ns()  # before the other, so that an interruption between the two is no advance
        steady = self._steady_ns()
        offset = clock - steady
        latest = self._offset[0]
        if offset > latest:
            self._offset[0] = offset
        return steady + max(offset, latest)

    def go_on_from(self, time_ns: int) -> None:
        """Return no time before `time_ns` (ns since 1970)."""
        offset = time_ns - self._steady_ns()
        self._offset[0] = max(self._offset[0], offset)

    @property
    def ahead_ns(self) -> int:
        """How far this clock is ahead of the machine's, which was set back; 0 if it was not."""
        steady = self._steady_ns()
        return max(0, self._offset[0] - (self._clock_ns() - steady))

    def set_back(self) -> None:
        """Go back to the machine's clock after all."""
        clock = self._clock_ns()
        self._offset[0] = clock - self._steady_ns()
