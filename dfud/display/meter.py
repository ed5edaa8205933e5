"""How fast a count grows, over the last few seconds."""

from __future__ import annotations

from collections import deque

_WINDOW_S = 5.0
_STEADY_S = 1.0
_MIN_STEP_S = 0.2  # between samples that are kept


class Meter:
    """Responsible for a rate that follows what happens, and does not jump with each batch."""

    def __init__(self) -> None:
        """Begin without samples."""
        self._samples: deque[tuple[float, float]] = deque()  # times (s, monotonic) and counts

    def add(self, now: float, count: float) -> float:
        """Take what the count is at `now`; return its growth per second."""
        samples = self._samples
        if samples and count < samples[-1][1]:  # something was begun again
            samples.clear()
        while len(samples) > 1 and samples[1][0] <= now - _WINDOW_S:
            samples.popleft()
        rate = self._since(samples[0], now, count) if samples else 0.0
        if not samples or now - samples[-1][0] >= _MIN_STEP_S:
            samples.append((now, count))
        return rate

    @property
    def is_steady(self) -> bool:
        """Whether the last rate is that of a second or more, and says something about what is to come."""
        return len(self._samples) > 1 and self._samples[-1][0] - self._samples[0][0] >= _STEADY_S

    def clear(self) -> None:
        """Forget the samples, as nothing is to be expected for a while."""
        self._samples.clear()

    @staticmethod
    def _since(sample: tuple[float, float], now: float, count: float) -> float:
        seconds = now - sample[0]
        return (count - sample[1]) / seconds if seconds > 0 else 0.0
