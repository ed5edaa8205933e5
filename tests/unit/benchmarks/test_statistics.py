"""The statistics of the benchmarks."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.statistics import median, percentile, ratio, scaling_exponent, spread

VALUES = st.lists(st.floats(0.001, 1e6), min_size=1)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        pytest.param([3, 1, 2], 2, id="odd"),
        pytest.param([4, 1, 3, 2], 2.5, id="even"),
        pytest.param([7], 7, id="one"),
    ],
)
def test_median(values: list[float], expected: float) -> None:
    assert median(values) == expected


@given(VALUES)
def test_spread_is_ordered(values: list[float]) -> None:
    lowest, middle, highest = spread(values)
    assert min(values) == lowest <= middle <= highest == max(values)


@given(VALUES, st.floats(0, 1))
def test_percentile_is_the_smallest_value_that_enough_do_not_exceed(values: list[float], fraction: float) -> None:
    result = percentile(values, fraction)
    assert sum(value <= result for value in values) >= fraction * len(values)
    assert result == min(values) or sum(value < result for value in values) < fraction * len(values)


def test_ratio_is_of_medians() -> None:
    assert ratio([1, 2, 300], [1, 1, 50]) == 2
    assert ratio([1], [0]) == math.inf


@pytest.mark.parametrize("power", [0.5, 1.0, 2.0])
def test_scaling_exponent_finds_the_power(power: float) -> None:
    work = [1, 10, 100, 1000]
    assert scaling_exponent(work, [3 * amount**power for amount in work]) == pytest.approx(power)
