"""The arithmetic of chunks."""

from __future__ import annotations

import hypothesis.strategies as st
import pytest
from hypothesis import given

from dfud.core.chunking import (
    Run,
    chunk_length,
    count_chunks,
    find_chunk_size,
    is_chunk_size,
    plan_reading,
    split_into_runs,
)
from dfud.core.ranges import RangeSet

SIZES = st.integers(0, 300)
CHUNK_SIZES = st.sampled_from([1, 2, 4, 16, 64])
SENT = st.lists(st.integers(1, 300), max_size=10)


@pytest.mark.parametrize(
    ("size", "chunks"), [(0, 1), (1, 1), (16384, 1), (16385, 2), (32768, 2), (100 * 10**9, 6_103_516)]
)
def test_the_number_of_chunks(size: int, chunks: int) -> None:
    assert count_chunks(size, 16384) == chunks


@given(SIZES, CHUNK_SIZES)
def test_the_chunks_make_the_file(size: int, chunk_size: int) -> None:
    lengths = [chunk_length(number, size, chunk_size) for number in range(1, count_chunks(size, chunk_size) + 1)]
    assert sum(lengths) == size
    assert all(length == chunk_size for length in lengths[:-1])
    assert lengths == [0] or all(lengths)


@given(SIZES, CHUNK_SIZES, SENT, st.integers(1, 200))
def test_runs_are_the_chunks_in_order(size: int, chunk_size: int, sent: list[int], run_bytes: int) -> None:
    n_chunks = count_chunks(size, chunk_size)
    chunks = RangeSet((number, number) for number in sent if number <= n_chunks)
    found: list[int] = []
    for run in split_into_runs(chunks, size, chunk_size, run_bytes):
        numbers = range(run.first, run.first + run.n_chunks)
        found += numbers
        assert run.offset == (run.first - 1) * chunk_size
        assert run.length == sum(chunk_length(number, size, chunk_size) for number in numbers)
        assert run.n_chunks == 1 or run.length <= run_bytes
    assert found == sorted({number for number in sent if number <= n_chunks})


def test_a_run_has_at_least_one_chunk() -> None:
    runs = list(split_into_runs(RangeSet([(2, 3)]), 2500, 1000, 999))
    assert runs == [Run(2, 1, 1000, 1000), Run(3, 1, 2000, 500)]


def test_a_run_has_as_many_chunks_as_fit() -> None:
    runs = list(split_into_runs(RangeSet([(1, 3)]), 2500, 1000, 2999))
    assert runs == [Run(1, 2, 0, 2000), Run(3, 1, 2000, 500)]


def test_a_file_of_which_all_is_sent_is_read_in_runs() -> None:
    plan = list(plan_reading(RangeSet([(1, 3)]), 2500, 1000, 2000))
    assert plan == [(Run(1, 2, 0, 2000), True), (Run(3, 1, 2000, 500), True)]


@given(SIZES, CHUNK_SIZES, SENT, st.integers(1, 200))
def test_a_file_is_read_once_and_in_order(size: int, chunk_size: int, sent: list[int], run_bytes: int) -> None:
    n_chunks = count_chunks(size, chunk_size)
    chunks = RangeSet((number, number) for number in sent if number <= n_chunks)
    at, to_send = 0, RangeSet()
    for run, send in plan_reading(chunks, size, chunk_size, run_bytes):
        assert run.offset == at
        at += run.length
        if send:
            to_send.add(run.first, run.first + run.n_chunks - 1)
    assert at == size
    assert to_send == chunks


@pytest.mark.parametrize(
    ("size", "n_chunks", "chunk_size"),
    [
        pytest.param(2500, 3, 1000, id="the preferred one"),
        pytest.param(2500, 1, 4096, id="the least power of two that fits"),
        pytest.param(10, 10, 1, id="one byte"),
        pytest.param(2500, 4, None, id="none"),
        pytest.param(2500, 0, None, id="no chunks"),
        pytest.param((1 << 62) + 1, 1, None, id="beyond what a file can have"),
    ],
)
def test_a_chunk_size_is_found_by_the_number_of_chunks(size: int, n_chunks: int, chunk_size: int | None) -> None:
    assert find_chunk_size(size, n_chunks, 1000) == chunk_size


@pytest.mark.parametrize(("number", "fits"), [(1, True), (16384, True), (0, False), (-2, False), (3, False)])
def test_a_chunk_size_is_a_nonzero_power_of_two(number: int, fits: bool) -> None:
    assert is_chunk_size(number) is fits
