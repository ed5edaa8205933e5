"""How long librdkafka may keep messages back for fuller batches, by how busy the lane is.

librdkafka's ``linger.ms`` is one time for all loads. A short one sends batches of a few messages while thousands
of small files go through, and each batch costs the broker and us; a long one delays every single file. Ours is
long, and cut short as soon as the chunker has nothing more for us: at once after a pause, in a stream of files
when nothing has arrived for a moment. docs/performance.md has the measurements.
"""

from __future__ import annotations

_STREAM_GAP_S = 0.02  # s; input within this time after other input is part of a stream
_STREAM_PAUSE_S = 0.004  # s without input that end a stream


class Linger:
    """Decides when librdkafka has to send what it keeps back."""

    def __init__(self, by_load: bool) -> None:
        """Leave everything to ``linger.ms`` unless `by_load`."""
        self._by_load = by_load
        self._is_holding = False
        self._pause_s = 0.0
        self._last_input = float("-inf")

    def on_input(self, now: float) -> None:
        """Record that something arrived from the chunker at `now` (s, monotonic)."""
        self._pause_s = _STREAM_PAUSE_S if now - self._last_input < _STREAM_GAP_S else 0.0
        self._last_input = now

    def on_produced(self) -> None:
        """Record that librdkafka has a message that it may keep back."""
        self._is_holding = self._by_load

    @property
    def pause_s(self) -> float | None:
        """How long to wait for more before `cut` (s), or None if nothing is kept back."""
        return self._pause_s if self._is_holding else None

    def cut(self) -> bool:
        """Return whether librdkafka has to send now, and consider it done."""
        was_holding, self._is_holding = self._is_holding, False
        return was_holding
