"""Range sets against plain sets."""

from __future__ import annotations

import hypothesis.strategies as st
import pytest
from hypothesis import example, given

from dfud.core.ranges import RangeSet

NUMBERS = st.integers(1, 40)
RANGES = st.lists(st.tuples(NUMBERS, st.integers(0, 6)).map(lambda pair: (pair[0], sum(pair))), max_size=12)


def numbers(ranges: list[tuple[int, int]]) -> set[int]:
    return {number for first, last in ranges for number in range(first, last + 1)}


@given(RANGES)
def test_it_is_the_set_of_the_numbers(ranges: list[tuple[int, int]]) -> None:
    tested, plain = RangeSet(ranges), numbers(ranges)
    assert numbers(list(tested)) == plain
    assert len(tested) == len(plain)
    assert bool(tested) == bool(plain)
    assert {number for number in range(60) if number in tested} == plain


@given(RANGES)
def test_its_ranges_are_ascending_and_never_touch(ranges: list[tuple[int, int]]) -> None:
    ends = list(RangeSet(ranges))
    assert all(first <= last for first, last in ends)
    assert all(last + 1 < first for (_, last), (first, _) in zip(ends, ends[1:]))


@given(RANGES, st.integers(0, 50))
def test_missing_and_covers_are_those_of_a_set(ranges: list[tuple[int, int]], count: int) -> None:
    tested, wanted = RangeSet(ranges), set(range(1, count + 1))
    assert numbers(list(tested.missing(count))) == wanted - numbers(ranges)
    assert tested.covers(count) == (wanted <= numbers(ranges))


@given(RANGES, RANGES)
def test_update_and_equality_are_those_of_a_set(some: list[tuple[int, int]], more: list[tuple[int, int]]) -> None:
    tested = RangeSet(some)
    twin = tested.copy()
    tested.update(more)
    assert tested == RangeSet(more + some)
    assert twin == RangeSet(some), "a copy changes with the original"
    assert (tested == twin) == (numbers(some + more) == numbers(some))


@given(RANGES)
def test_its_text_is_read_back(ranges: list[tuple[int, int]]) -> None:
    tested = RangeSet(ranges)
    assert RangeSet.parse(str(tested)) == tested
    assert eval(repr(tested)) == tested


def test_its_text_is_that_of_the_contract() -> None:
    assert str(RangeSet([(1, 512), (700, 700), (702, 704)])) == "1-512 700 702-704"
    assert RangeSet.parse("") == RangeSet()
    assert RangeSet.parse("4 1-2 3") == RangeSet([(1, 4)])


@pytest.mark.parametrize(
    "text", ["0", "-1", "1-", "-", "3-2", "a", "1,2", "1.0", "+1", "1_0", "\u0663", "1-2-3", "9" * 21]
)
def test_what_is_not_a_range_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a"):
        RangeSet.parse(f"1-2 {text}")


def test_a_number_of_millions_of_digits_is_refused_at_once() -> None:
    with pytest.raises(ValueError, match="chunk number"):
        RangeSet.parse("9" * 10_000_000)


def test_it_equals_only_range_sets_and_has_no_hash() -> None:
    assert RangeSet() != ()
    with pytest.raises(TypeError):
        hash(RangeSet())


@given(st.lists(st.tuples(st.integers(1, 30), st.integers(0, 5))), st.integers(1, 30), st.integers(1, 30))
@example([(number, 0) for number in range(2, 20, 3)], 1, 20)
@example([(number, 0) for number in range(2, 20, 3)], 5, 17)
def test_gaps_includes_and_is_just_are_those_of_a_set(pairs: list[tuple[int, int]], one: int, other: int) -> None:
    first, last = min(one, other), max(one, other)
    ranges = RangeSet((start, start + more) for start, more in pairs)
    members = {number for start, more in pairs for number in range(start, start + more + 1)}
    wanted = set(range(first, last + 1))
    assert tuple(ranges.gaps(first, last)) == RangeSet((number, number) for number in wanted - members).ranges()
    assert ranges.includes(first, last) == (wanted <= members)
    assert ranges.is_just(first, last) == (members == wanted)
    assert ranges.ranges() == tuple(iter(ranges))
    assert ranges.n_ranges == len(ranges.ranges())


def test_one_number_is_a_range_of_itself() -> None:
    ranges = RangeSet()
    assert (len(ranges), ranges.n_ranges) == (0, 0)
    ranges.add(5)
    ranges.add(7)
    ranges.add(6)
    assert ranges.ranges() == ((5, 7),)


@pytest.mark.parametrize("text", ["9" * 20, "1-" + "9" * 20])
def test_a_number_may_have_20_digits(text: str) -> None:
    assert RangeSet.parse(text).ranges()[0][1] == int("9" * 20)


def test_a_number_of_21_digits_is_an_error() -> None:
    with pytest.raises(ValueError, match="is not a chunk number"):
        RangeSet.parse("9" * 21)
