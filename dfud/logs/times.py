"""Times as they are written into the tables."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timezone


class IsoClock:
    """Returns the present local time in ISO 8601 with the UTC offset, to the millisecond.

    What does not change is formatted only once: many thousand files a second may need a time each.
    """

    def __init__(self, clock_ns: Callable[[], int] = time.time_ns) -> None:
        """Use `clock_ns`, which returns nanoseconds since 1970-01-01 UTC."""
        self._clock_ns = clock_ns
        self._second = self._millisecond = -1
        self._before, self._after = "", ""  # the milliseconds
        self._text = ""

    def __call__(self) -> str:
        """Return the present time."""
        millisecond = self._clock_ns() // 1_000_000
        if millisecond == self._millisecond:
            return self._text
        self._millisecond = millisecond
        second, rest = divmod(millisecond, 1000)
        if second != self._second:
            self._second = second
            text = datetime.fromtimestamp(second, timezone.utc).astimezone().isoformat()
            self._before, self._after = text[:19], text[19:]
        self._text = f"{self._before}.{rest:03d}{self._after}"
        return self._text
