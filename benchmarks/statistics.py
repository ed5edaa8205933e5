"""Summaries of several runs: medians, their spread, and ratios. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple


class Spread(NamedTuple):
    """The middle and the ends of some measurements."""

    min: float
    median: float
    max: float


def median(values: Sequence[float]) -> float:
    """Return the median of one or more values.

    >>> median([3, 1, 2]), median([1, 2, 4, 3])
    (2, 2.5)
    """
    ordered = sorted(values)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


def spread(values: Sequence[float]) -> Spread:
    """Return the minimum, median and maximum of one or more values."""
    return Spread(min(values), median(values), max(values))


def percentile(values: Sequence[float], fraction: float) -> float:
    """Return the smallest of `values` that at least `fraction` (0 to 1) of them do not exceed.

    >>> percentile(range(1, 101), 0.99), percentile([7], 0.5)
    (99, 7)
    """
    ordered = sorted(values)
    return ordered[max(0, math.ceil(fraction * len(ordered)) - 1)]


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """Return the median of `ours` divided by the median of `theirs`; infinity if the latter is 0."""
    divisor = median(theirs)
    return median(ours) / divisor if divisor else math.inf


def scaling_exponent(work: Sequence[float], cost: Sequence[float]) -> float:
    """Return the least-squares slope of log `cost` over log `work`: 1 if the cost is proportional to the work.

    >>> round(scaling_exponent([1, 10, 100], [2, 20, 200]), 6)
    1.0
    """
    x = [math.log(value) for value in work]
    y = [math.log(value) for value in cost]
    mean_x, mean_y = sum(x) / len(x), sum(y) / len(y)
    covariance = sum((a - mean_x) * (b - mean_y) for a, b in zip(x, y))
    return covariance / sum((a - mean_x) ** 2 for a in x)
