"""How much was completed when: counts in intervals of time, in bounded memory however many files there are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

# Seconds; each divides the next, so that intervals can be merged exactly.
WIDTHS_S = (1, 5, 10, 30, 60, 300, 600, 1800, 3600, 10_800, 21_600, 43_200, 86_400, 604_800, 2_419_200, 24_192_000)
_TICKS_S = (
    1,
    2,
    5,
    10,
    20,
    30,
    60,
    120,
    300,
    600,
    900,
    1800,
    3600,
    7200,
    10_800,
    21_600,
    43_200,
    *(86_400 * days for days in (1, 2, 3, 5, 7, 14, 28, 56, 140, 364, 728)),
)
_MAX_BINS = 4_096  # while counting
_MAX_BARS = 100
_MIN_BARS = 20


class Bin(NamedTuple):
    """What was completed in one interval."""

    start_s: int  # since 1970
    versions: int
    size: int  # bytes


class Series(NamedTuple):
    """The intervals of a chart; those in which nothing was completed are left out."""

    start_s: int  # since 1970
    end_s: int
    width_s: int  # of each interval
    bins: list[Bin]


class Histogram:
    """Counts versions and bytes by the time of their completion."""

    def __init__(self, shift_s: int = 0) -> None:
        """Begin intervals at round times where clocks are `shift_s` ahead of UTC."""
        self._shift_s = shift_s
        self._step = 0  # index of the present width
        self._width_s = WIDTHS_S[0]
        self._bins: dict[int, list[int]] = {}  # versions and bytes, by the number of the interval

    def __bool__(self) -> bool:
        return bool(self._bins)

    def add(self, time_s: int, size: int) -> None:
        """Count a version of `size` bytes that was completed at `time_s` (since 1970)."""
        number = (time_s + self._shift_s) // self._width_s
        counts = self._bins.get(number)
        if counts is not None:
            counts[0] += 1
            counts[1] += size
            return
        self._bins[number] = [1, size]
        while len(self._bins) > _MAX_BINS:
            self._widen()

    def _widen(self) -> None:
        self._step += 1
        width_s = WIDTHS_S[self._step]
        self._bins = _merged(self._bins, width_s // self._width_s)
        self._width_s = width_s

    @property
    def range_s(self) -> int:
        """How many seconds lie between the first interval and the end of the last one."""
        return (max(self._bins) + 1 - min(self._bins)) * self._width_s if self._bins else 0

    def series(self, end_s: int = 0) -> Series:
        """Return what was counted, up to `end_s` if that is later, in a number of intervals that can be drawn."""
        first = min(self._bins) * self._width_s
        last = max(max(self._bins) * self._width_s, end_s + self._shift_s)
        wide_enough = (
            width_s
            for width_s in WIDTHS_S[self._step :]
            if last // width_s - first // width_s < _MAX_BARS or width_s == WIDTHS_S[-1]
        )
        width_s = next(wide_enough)
        merged = _merged(self._bins, width_s // self._width_s)
        end = last // width_s + 1
        start = min(first // width_s, end - _MIN_BARS)  # not into the future
        return Series(
            start * width_s - self._shift_s,
            end * width_s - self._shift_s,
            width_s,
            [Bin(number * width_s - self._shift_s, *merged[number]) for number in sorted(merged)],
        )


def _merged(bins: dict[int, list[int]], factor: int) -> dict[int, list[int]]:
    """Return the counts in intervals that are `factor` times as wide."""
    merged: dict[int, list[int]] = {}
    for number, (versions, size) in bins.items():
        counts = merged.setdefault(number // factor, [0, 0])
        counts[0] += versions
        counts[1] += size
    return merged


def ticks(series: Series, shift_s: int, at_most: int) -> Iterator[int]:
    """Yield round times for the axis of a chart."""
    span_s = series.end_s - series.start_s
    step_s = next((step_s for step_s in _TICKS_S if span_s <= at_most * step_s), WIDTHS_S[-1])
    first = -(-(series.start_s + shift_s) // step_s)
    for number in range(first, (series.end_s + shift_s) // step_s + 1):
        yield number * step_s - shift_s
