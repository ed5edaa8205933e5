"""Noticing that the clock was set back while a run goes on: files that change then look older than the run."""

from __future__ import annotations

import time
from collections.abc import Callable

from dfud.logs.times import boot_time_ns

_MIN_STEP_NS = 1_000_000  # less than that is the time between two looks at two clocks


class ClockSteps:
    """Compares the clock with one that nobody sets."""

    def __init__(
        self, clock_ns: Callable[[], int] = time.time_ns, steady_ns: Callable[[], int] = boot_time_ns
    ) -> None:
        """Begin now."""
        self._clock_ns = clock_ns
        self._steady_ns = steady_ns
        self._offset_ns = clock_ns() - steady_ns()
        self.set_back_ns = 0  # how far it has been set back since the beginning, at most

    def check(self) -> bool:
        """Return whether the clock has been set back further than before."""
        steady_ns = self._steady_ns()  # before the other: a pause in between must not look like a step back
        set_back_ns = self._offset_ns - (self._clock_ns() - steady_ns)
        if set_back_ns < self.set_back_ns + _MIN_STEP_NS:
            return False
        self.set_back_ns = set_back_ns
        return True
