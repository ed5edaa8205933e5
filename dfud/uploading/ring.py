"""The shared ring: the bytes of chunks on their way from one chunker to one producer.

Positions count bytes from the start of the run and never go back; a position's place is its remainder by the
capacity. One process reserves, the other frees, in the same order, so that each only writes its own counter.
The memory is an anonymous map, inherited by fork: it is not limited as /dev/shm is in containers, it is touched
only as far as it is needed, and it is gone with its last process.
"""

from __future__ import annotations

import mmap

_HEADER_BYTES = 24
_RESERVED, _FREED, _WAITING = 0, 1, 2  # words of the header


class Ring:
    """A ring of `capacity` bytes; to be made before the processes that share it."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self._map = mmap.mmap(-1, _HEADER_BYTES + capacity)
        whole = memoryview(self._map)
        self._words = whole[:_HEADER_BYTES].cast("Q")
        self._bytes = whole[_HEADER_BYTES:]
        self._before = 0  # what was reserved before the last reservation, as this process's chunker knows

    def reserve(self, length: int) -> tuple[int, int] | None:
        """Reserve `length` consecutive bytes: (their start, the position behind them), or None if it is full.

        Only the chunker calls it, with at most `capacity` bytes.
        """
        words = self._words
        reserved = before = words[_RESERVED]
        if words[_FREED] == reserved:
            # Empty: begin again at the start, whose pages have been touched. Nothing is on its way to the
            # producer now, so that its counter may be set from here.
            reserved += -reserved % self.capacity
            words[_RESERVED] = words[_FREED] = before = reserved
        start = reserved % self.capacity
        if start + length > self.capacity:  # does not fit before the end: leave that unused
            reserved += self.capacity - start
            start = 0
        end = reserved + length
        if end - words[_FREED] > self.capacity:
            return None
        words[_RESERVED] = end
        self._before = before
        return start, end

    def take_back(self) -> None:
        """Undo the last reservation, which the producer has not been told of. For the chunker.

        Else nothing would free it before a later run; and where no room for one is left, nothing ever.
        """
        self._words[_RESERVED] = self._before

    def view(self, start: int, length: int) -> memoryview:
        """Return the bytes at `start`; to be released before the map can be closed."""
        return self._bytes[start : start + length]

    def copy(self, start: int, length: int) -> bytes:
        """Return a copy of the bytes at `start`."""
        return bytes(self._bytes[start : start + length])

    def free(self, end: int) -> bool:
        """Free all before position `end`; return whether the chunker waits for room. For the producer."""
        # An end that holds no bytes of its own (an empty file's) may have been freed with the one before; by now
        # the chunker may have begun again at the start, and the counter must not go back.
        if end > self._words[_FREED]:
            self._words[_FREED] = end
        return self._words[_WAITING] != 0

    def set_waiting(self, waiting: bool) -> None:
        """Say whether the chunker waits for room. For the chunker, which looks once more before it sleeps."""
        self._words[_WAITING] = waiting

    @property
    def reserved(self) -> int:
        """The position behind all that is reserved."""
        return self._words[_RESERVED]

    @property
    def used(self) -> int:
        """Bytes that are reserved and not yet freed."""
        return self._words[_RESERVED] - self._words[_FREED]
