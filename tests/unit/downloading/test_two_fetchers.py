"""Versions of one path that two fetchers read, as after partitions were added to the topic."""

from __future__ import annotations

import itertools

import pytest

from tests.helpers.downloading import Record, native
from tests.helpers.fetching import DATA, NOW, Bench, Taken, pair

__all__ = ["pair"]

OTHER = b"o" * 2500
NOTHING = Record(None, None, [])


def sent_at(bench: Bench, seconds: int) -> Bench:
    """Let the next message that `bench` takes be sent so many times 100 ms after the first one of all."""
    bench.take(*[NOTHING] * (100 * seconds - len(bench.log)))
    return bench


def of_second(records: list[Record]) -> list[Record]:
    return [record._replace(partition=1) for record in records]


@pytest.mark.parametrize("order", sorted(set(itertools.permutations((0, 1, 1, 1, 2)))))
def test_the_order_of_reading_does_not_matter(pair: tuple[Bench, Bench], order: tuple[int, ...]) -> None:
    """One reads A, and A again; the other one B, which was sent in between."""
    first, second = (sent_at(bench, seconds) for bench, seconds in zip(pair, (1, 2)))
    a, b = native(b"f", DATA, NOW), of_second(native(b"f", OTHER, NOW + 1))
    for what in order:
        if what == 0 or (what == 2 and 0 not in order[: order.index(2)]):
            first.take(*a)
        elif what == 1:
            second.take(b.pop(0))
        else:
            sent_at(first, 3).take(*a)
    if len(first.log) < 300:  # A was read only once: again
        sent_at(first, 3).take(*a)
    assert first.files() == {b"f": DATA}
    assert first.end() + second.end() == []
    assert first.left() == []


@pytest.mark.parametrize("is_first_to_read", [True, False])
def test_what_is_incomplete_of_a_superseded_version_is_dropped_at_the_end(
    pair: tuple[Bench, Bench], is_first_to_read: bool
) -> None:
    first, second = (sent_at(bench, seconds) for bench, seconds in zip(pair, (1, 2)))
    if is_first_to_read:
        first.take(*native(b"f", DATA, NOW)[:3])
        assert first.save()
    second.take(*of_second(native(b"f", OTHER, NOW - 1)))
    if not is_first_to_read:
        first.take(*native(b"f", DATA, NOW)[:3])
    assert second.files() == {b"f": OTHER}
    assert first.end() + second.end() == []
    assert first.left() == []


def test_a_folder_that_another_fetcher_has_moved_away_is_not_written_into(pair: tuple[Bench, Bench]) -> None:
    """It is still open here, as are all folders while one batch of messages is taken."""
    first, second = (sent_at(bench, seconds) for bench, seconds in zip(pair, (1, 2)))
    first.take(*native(b"x/y", DATA, NOW))
    (first.top / "x" / "mine").write_bytes(b"mine")
    second.take(*of_second(native(b"x", b"a file", NOW)))
    assert first.files() == {b"x": b"a file"}
    first.assembler.take([Taken(record, 300 + at) for at, record in enumerate(native(b"x/y", OTHER, NOW))])
    assert first.files() == {b"x/y": OTHER}
