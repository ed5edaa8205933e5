"""How long messages are kept back for fuller batches: by how much there is to do.

librdkafka's ``linger.ms`` is one time for all. A short one makes batches of a few messages while thousands of
small files go through, each of which costs the broker and us; a long one is added to the way of every single file.
Ours is long, and cut short as soon as the chunker has nothing more for us: at once for what comes after a pause,
else when it has been silent for a moment. What that gains is told in docs/performance.md.
"""

from __future__ import annotations

_STREAM_GAP_S = 0.02  # s; what comes within this time after something else is part of a stream
_PAUSE_S = 0.004  # s without anything new in a stream until what is kept back goes


class Linger:
    """Decides when what librdkafka keeps back is to go."""

    def __init__(self, by_load: bool) -> None:
        """Leave it all to ``linger.ms`` if not `by_load`."""
        self._by_load = by_load
        self._is_holding = False
        self._moment = 0.0
        self._last_input = float("-inf")

    def has_come(self, now: float) -> None:
        """Something came from the chunker at `now` (s, monotonic)."""
        self._moment = _PAUSE_S if now - self._last_input < _STREAM_GAP_S else 0.0
        self._last_input = now

    def has_sent(self) -> None:
        """A message was handed to librdkafka, which may keep it back."""
        self._is_holding = self._by_load

    @property
    def left(self) -> float | None:
        """How long (s) to wait for more before `cut` is to be called; None where nothing is kept back."""
        return self._moment if self._is_holding else None

    def cut(self) -> bool:
        """Tell whether librdkafka is to be told to keep nothing back, and count it as told."""
        was_holding, self._is_holding = self._is_holding, False
        return was_holding
