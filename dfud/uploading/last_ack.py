"""When any lane was last acknowledged something: memory that all lanes share."""

from __future__ import annotations

import mmap
import time


class LastAck:
    """The time of the last acknowledgement in any lane (s, monotonic), made before the processes are forked.

    A lane that the broker lets wait must not give up while it acknowledges what another lane sends. One aligned
    word needs no lock: lanes that write at once write nearly the same.
    """

    def __init__(self, now: float | None = None) -> None:
        """Begin with the present time: silence counts from here."""
        self._word = memoryview(mmap.mmap(-1, 8)).cast("d")
        self.advance(time.monotonic() if now is None else now)

    @property
    def time(self) -> float:
        """When something was acknowledged last (s, monotonic)."""
        return self._word[0]

    def advance(self, now: float) -> None:
        """Record an acknowledgement at `now`, which may be a time to come: until then silence is no news."""
        self._word[0] = max(self._word[0], now)
