"""The user's memory is divided so that the sum is what was asked for, where that is enough to work with."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from dfud.uploading.memory import MEGABYTE, divide


@given(st.integers(1, 10**12), st.integers(1, 64), st.sampled_from([2**power for power in range(30)]))
def test_the_sum_is_what_is_allowed(allowed: int, lanes: int, chunk_size: int) -> None:
    ring, librdkafka = divide(allowed, lanes, chunk_size)
    assert ring <= allowed // lanes
    assert ring >= min(allowed // lanes, 4 * chunk_size)
    assert librdkafka >= 4 * chunk_size
    least = max(8 * MEGABYTE, 4 * chunk_size)
    assert (ring + librdkafka) * lanes <= allowed or librdkafka == least


def test_more_than_is_of_use_is_not_taken() -> None:
    assert divide(500 * MEGABYTE, 2, 16384) == (16 * MEGABYTE, 64 * MEGABYTE)
    assert divide(10**12, 2, 16384) == (16 * MEGABYTE, 64 * MEGABYTE)
    assert divide(60 * MEGABYTE, 2, 16384) == (10 * MEGABYTE, 20 * MEGABYTE)
