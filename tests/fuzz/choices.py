"""Choices made by bytes, so that any fuzzer can make them, and shrink them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


class Choices:
    """Takes each choice from the next bytes; when they have run out, it is always the first one."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def is_over(self) -> bool:
        """Whether all bytes were taken."""
        return self._at >= len(self._data)

    def below(self, count: int) -> int:
        """Return a number from 0 to `count` - 1."""
        return self._byte() % count if count <= 256 else (self._byte() << 8 | self._byte()) % count

    def of(self, options: Sequence[T]) -> T:
        """Return one of `options`."""
        return options[self.below(len(options))]

    def one_in(self, count: int) -> bool:
        """Return True for one of `count` choices, which is never the first one."""
        return self.below(count) == count - 1

    def bytes(self, most: int) -> bytes:
        """Return up to `most` bytes."""
        return bytes(self._byte() for _ in range(self.below(most + 1)))

    def _byte(self) -> int:
        self._at += 1
        return self._data[self._at - 1] if self._at <= len(self._data) else 0
