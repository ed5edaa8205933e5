"""Sets of chunk numbers, kept as ranges: a file of any size costs a few numbers.

The text form, ``1-512 700 702-704``, is that of the ``chunks_to_send`` column of the in-progress table:
1-based inclusive ranges in ascending order, separated by spaces.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator

_MAX_DIGITS = 20  # of a number; converting a text of millions of digits takes minutes


class RangeSet:
    """A mutable set of positive integers, held as disjoint, ascending, inclusive ranges."""

    __slots__ = ("_firsts", "_lasts")

    def __init__(self, ranges: Iterable[tuple[int, int]] = ()) -> None:
        """Begin with `ranges`, each (first, last), in any order."""
        self._firsts: list[int] = []
        self._lasts: list[int] = []
        if ranges:
            self.update(ranges)

    @classmethod
    def parse(cls, text: str) -> RangeSet:
        """Return the set of which `text` is the text form; ValueError for anything else."""
        ranges = cls()
        for word in text.split():
            first_text, dash, last_text = word.partition("-")
            first = _number(first_text)
            last = _number(last_text) if dash else first
            if first < 1 or last < first:
                raise ValueError(f"{word!r} is not a range of chunk numbers")
            ranges.add(first, last)
        return ranges

    def __str__(self) -> str:
        """Return the text form."""
        return " ".join(str(first) if first == last else f"{first}-{last}" for first, last in self)

    def __repr__(self) -> str:
        return f"RangeSet.parse({str(self)!r})"

    def __iter__(self) -> Iterator[tuple[int, int]]:
        """Give each range as (first, last), ascending."""
        return zip(self._firsts, self._lasts)

    def __len__(self) -> int:
        """Count the numbers, not the ranges."""
        return sum(self._lasts) - sum(self._firsts) + len(self._firsts)

    def ranges(self) -> tuple[tuple[int, int], ...]:
        """Return the ranges; `tuple(self)` would allocate room for as many items as there are numbers."""
        return tuple(zip(self._firsts, self._lasts))

    @property
    def n_ranges(self) -> int:
        """How many ranges there are, which is what the set costs."""
        return len(self._firsts)

    def __bool__(self) -> bool:
        return bool(self._firsts)

    def __contains__(self, number: int) -> bool:
        at = bisect_right(self._firsts, number) - 1
        return at >= 0 and number <= self._lasts[at]

    def includes(self, first: int, last: int) -> bool:
        """Return whether every number from `first` to `last` is in this set."""
        at = bisect_right(self._firsts, first) - 1
        return at >= 0 and last <= self._lasts[at]

    def is_just(self, first: int, last: int) -> bool:
        """Return whether this set is exactly the numbers from `first` to `last`."""
        return len(self._firsts) == 1 and self._firsts[0] == first and self._lasts[0] == last

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, RangeSet):
            return NotImplemented
        return self._firsts == other._firsts and self._lasts == other._lasts

    __hash__ = None  # type: ignore[assignment]

    def copy(self) -> RangeSet:
        """Return a set of the same numbers that shares nothing with this one."""
        twin = RangeSet()
        twin._firsts = self._firsts.copy()
        twin._lasts = self._lasts.copy()
        return twin

    def add(self, first: int, last: int | None = None) -> None:
        """Add every number from `first` to `last`, inclusive; without `last`, only `first`."""
        if last is None:
            last = first
        firsts, lasts = self._firsts, self._lasts
        if not lasts:
            firsts.append(first)
            lasts.append(last)
            return
        # Acknowledgements arrive nearly in order: the common case only moves the end of the last range.
        if lasts[-1] + 1 == first:
            lasts[-1] = last
            return
        low = bisect_left(lasts, first - 1)  # the first range that touches this one or follows it
        high = bisect_right(firsts, last + 1)  # one past the last range that touches this one
        if low < high:
            first = min(first, firsts[low])
            last = max(last, lasts[high - 1])
        firsts[low:high] = [first]
        lasts[low:high] = [last]

    def update(self, ranges: Iterable[tuple[int, int]]) -> None:
        """Add every range of `ranges`, each (first, last)."""
        for first, last in ranges:
            self.add(first, last)

    def covers(self, count: int) -> bool:
        """Return whether every number from 1 to `count` is in this set."""
        return count < 1 or (bool(self._firsts) and self._firsts[0] == 1 and self._lasts[0] >= count)

    def gaps(self, first: int, last: int) -> list[tuple[int, int]]:
        """Return the ranges within `first` to `last` that are not in this set."""
        at = bisect_left(self._lasts, first)
        ranges = []
        while at < len(self._firsts) and self._firsts[at] <= last:
            if self._firsts[at] > first:
                ranges.append((first, self._firsts[at] - 1))
            first = self._lasts[at] + 1
            at += 1
        if first <= last:
            ranges.append((first, last))
        return ranges

    def missing(self, count: int) -> RangeSet:
        """Return the numbers from 1 to `count` that are not in this set."""
        rest = RangeSet()
        following = 1
        for first, last in self:
            if first > count:
                break
            if first > following:
                rest.add(following, first - 1)
            following = last + 1
        if following <= count:
            rest.add(following, count)
        return rest


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS):
        raise ValueError(f"{text!r} is not a chunk number")
    return int(text)
