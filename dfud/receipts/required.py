"""Which receivers must have a file."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

from dfud.core.text import counted
from dfud.errors import UsageError

_MAX_NUMBER_CHARS = 4


class Required(NamedTuple):
    """The receivers that must have a file."""

    names: frozenset[str] = frozenset()  # each of these
    number: int = 0  # or any different ones, so many

    @property
    def words(self) -> list[str]:
        """What the user wrote, as options have it."""
        return [str(self.number)] if self.number else sorted(self.names)

    def believes(self, receiver: str) -> bool:
        """Return whether the receipts of a receiver count."""
        return bool(self.number) or receiver in self.names

    def is_met(self, holders: Collection[str]) -> bool:
        """Return whether it is enough that these receivers have the file."""
        if self.number:
            return len(frozenset(holders)) >= self.number
        return bool(self.names) and self.names.issubset(holders)


def parse_receivers(words: Sequence[str]) -> Required:
    """Return what the user means by names, or by one number. Raises ValueError with the reason.

    >>> parse_receivers(["2"])
    Required(names=frozenset(), number=2)
    """
    if not words:
        return Required()
    from dfud.core.receipt import receiver_fault

    numbers = [each for each in words if each.isascii() and each.isdigit()]
    if not numbers:
        for name in words:
            fault = receiver_fault(name)
            if fault:
                raise ValueError(f"{name!r} cannot be the name of a receiver: {fault}")
        return Required(frozenset(words))
    if len(words) > 1:
        raise ValueError("give either the number of receivers, once, or their names")
    number = int(numbers[0]) if len(numbers[0]) <= _MAX_NUMBER_CHARS else 0
    if number < 1:
        raise ValueError(f"{numbers[0]} is not a number of receivers; give 1 or more")
    return Required(number=number)


def too_many_receivers(limit: int) -> UsageError:
    """Return the error that says that there are receipts of more receivers than can be kept apart."""
    return UsageError(
        f"there are receipts of more than {counted(limit, 'receiver')}: somebody may have made them up; name "
        "those that you believe, with --receivers NAME"
    )
