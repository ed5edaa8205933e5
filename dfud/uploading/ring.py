"""The shared ring: the bytes of chunks on their way from one chunker to one producer.

Positions count bytes from the start of the run and only ever grow; a position modulo the capacity is the place in
the memory. One process reserves and the other frees, in the same order, so each writes only its own counter.

By hand, because a queue would copy each byte twice more, and `multiprocessing.shared_memory` lies in /dev/shm,
which is small in containers, under names that can outlive killed processes. An anonymous map that is inherited by
fork has no such limit, occupies memory only as far as it is used, and is gone with its last process.
"""

from __future__ import annotations

import mmap

_HEADER_BYTES = 24
_RESERVED, _FREED, _WAITING = 0, 1, 2  # words of the header


class Ring:
    """A ring of `capacity` bytes, made before the processes that share it are forked."""

    def __init__(self, capacity: int) -> None:
        """Map the memory; none of it is occupied yet."""
        self.capacity = capacity
        self._map = mmap.mmap(-1, _HEADER_BYTES + capacity)
        memory = memoryview(self._map)
        self._words = memory[:_HEADER_BYTES].cast("Q")
        self._bytes = memory[_HEADER_BYTES:]
        self._previous = 0  # the value of _RESERVED before this chunker's last reservation

    def reserve(self, length: int) -> tuple[int, int] | None:
        """Reserve `length` consecutive bytes, at most `capacity`. For the chunker.

        Returns where they start in the memory and the position after them, or None if there is no room now.
        """
        words = self._words
        reserved = previous = words[_RESERVED]
        if words[_FREED] == reserved:
            # Empty: begin again at the start, whose pages are in memory already. Nothing is on its way to the
            # producer now, so its counter may be set from here.
            reserved += -reserved % self.capacity
            words[_RESERVED] = words[_FREED] = previous = reserved
        start = reserved % self.capacity
        if start + length > self.capacity:  # does not fit before the end, which is left unused
            reserved += self.capacity - start
            start = 0
        end = reserved + length
        if end - words[_FREED] > self.capacity:
            return None
        words[_RESERVED] = end
        self._previous = previous
        return start, end

    def unreserve(self) -> None:
        """Undo the last reservation, which was not passed on to the producer. For the chunker.

        Otherwise only a later run would free it, and if there is no room for one, nothing would.
        """
        self._words[_RESERVED] = self._previous

    def view(self, start: int, length: int) -> memoryview:
        """Return a view of the bytes at `start`, valid until they are freed."""
        return self._bytes[start : start + length]

    def copy(self, start: int, length: int) -> bytes:
        """Return a copy of the bytes at `start`."""
        start += _HEADER_BYTES
        return self._map[start : start + length]

    def free(self, end: int) -> bool:
        """Free everything before position `end`; return whether the chunker waits for room. For the producer."""
        # An end without bytes of its own (of an empty file) may have been freed with the one before; by now the
        # chunker may have begun again at the start, and the counter must not go back.
        if end > self._words[_FREED]:  # noqa: PLR1730 - a comparison is faster than a call of max
            self._words[_FREED] = end
        return self._words[_WAITING] != 0

    @property
    def freed(self) -> int:
        """The position up to which everything is freed: it grows as long as the producer works."""
        return int(self._words[_FREED])

    def set_waiting(self, waiting: bool) -> None:
        """Set whether the chunker waits for room. For the chunker, which tries once more before it sleeps."""
        self._words[_WAITING] = waiting

    @property
    def reserved(self) -> int:
        """The position after everything that is reserved."""
        return self._words[_RESERVED]

    @property
    def used(self) -> int:
        """The number of bytes that are reserved and not yet freed."""
        return self._words[_RESERVED] - self._words[_FREED]
