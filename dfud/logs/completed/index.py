"""An index of millions of fixed records, which takes no more than their bytes.

It is written by hand because a dict takes some 200 bytes each, and the file of a database would be a second record
beside the table, which could contradict it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from operator import eq, itemgetter
from typing import cast

IDENTITY_BYTES = 16
_WORD_BYTES = 8
N_PARTS = 16  # of the records: where many are compared, one at a time, so that the memory for it is small
_MIN_MERGED = 50_000  # records that are added before a merge; in the dict they cost some 200 bytes each


class RecordIndex:
    """Records of which the first bytes are the key, at least 8; of several with one key the last counts.

    Most are in one sorted string, found by binary search; new ones are in a dict until there are enough of them to
    be merged.
    """

    def __init__(self, records: Iterable[bytes], key_bytes: int, record_bytes: int) -> None:
        """Begin with `records`, all of the same size, which is a multiple of 8."""
        self._key_bytes = key_bytes
        self._record_bytes = record_bytes
        # As a Python function it would be slower, and a million records are sorted at a time.
        self._key = cast("Callable[[bytes], bytes]", itemgetter(slice(key_bytes)))
        self._sorted = self._join(sorted(records, key=self._key))
        self._fresh: dict[bytes, bytes] = {}  # by key; empty for a record that was removed

    def __len__(self) -> int:
        """Return the number of records; one that was replaced or removed lately may count twice."""
        return len(self._sorted) // self._record_bytes + len(self._fresh)

    def find(self, key: bytes) -> bytes | None:
        """Return the record with `key`, or None."""
        fresh = self._fresh.get(key)
        if fresh is not None:
            return fresh or None
        if not self._sorted:
            return None
        end = self._end(key)
        if not end:
            return None
        record = self._sorted[(end - 1) * self._record_bytes : end * self._record_bytes]
        return record if record[: self._key_bytes] == key else None

    def put(self, record: bytes) -> None:
        """Add a record, or replace the one with its key."""
        self._fresh[record[: self._key_bytes]] = record
        # In proportion to the sorted records, so that the cost of merging per record stays constant.
        if len(self._fresh) >= max(_MIN_MERGED, len(self._sorted) // self._record_bytes):
            self.merge()

    def remove(self, key: bytes) -> None:
        """Remove the record with `key`, if there is one."""
        if self.find(key) is not None:
            self._fresh[key] = b""

    def merge(self) -> None:
        """Sort what was added lately into the rest."""
        if not self._fresh:
            return
        old, size, width = self._sorted, self._record_bytes, self._key_bytes
        records = [
            record
            for record in (old[at : at + size] for at in range(0, len(old), size))
            if record[:width] not in self._fresh
        ]
        records += filter(None, self._fresh.values())
        records.sort(key=self._key)
        self._sorted = b"".join(records)
        self._fresh = {}

    def parts(self) -> list[memoryview]:
        """Return all records in `N_PARTS` parts, by the first bits of their keys."""
        self.merge()
        size = self._record_bytes
        bounds = [self._end(bytes([part * 256 // N_PARTS])) for part in range(N_PARTS)]
        ends = [*bounds[1:], len(self._sorted) // size]
        view = memoryview(self._sorted)
        return [view[first * size : last * size] for first, last in zip(bounds, ends)]

    def _join(self, ordered: list[bytes]) -> bytes:
        """Return sorted records in one string, the last one of each key."""
        joined = b"".join(ordered)
        words = memoryview(joined).cast("Q")[:: self._record_bytes // _WORD_BYTES]
        if not any(map(eq, words, words[1:])):
            return joined
        return b"".join({record[: self._key_bytes]: record for record in ordered}.values())

    def _end(self, key: bytes) -> int:
        """Return the number of sorted records up to `key`."""
        records, size, width = self._sorted, self._record_bytes, self._key_bytes
        low, high = 0, len(records) // size
        while low < high:
            middle = (low + high) // 2
            if records[middle * size : middle * size + width] <= key:
                low = middle + 1
            else:
                high = middle
        return low


class CompletedIndex(RecordIndex):
    """Maps the identity of a file's version to the xxh3_128 of its content, 16 bytes each."""

    def __init__(self, records: Iterable[bytes] = ()) -> None:
        """Begin with `records`, each an identity and a digest; of a repeated identity the last digest counts."""
        super().__init__(records, IDENTITY_BYTES, 2 * IDENTITY_BYTES)

    def add(self, identity: bytes, digest: bytes) -> None:
        """Add a version and its digest; a later digest of a version replaces the earlier one."""
        self.put(identity + digest)

    def digest(self, identity: bytes) -> bytes | None:
        """Return the digest of a version, or None if the version is unknown."""
        record = self.find(identity)
        return None if record is None else record[IDENTITY_BYTES:]


def words_of(records: bytes | bytearray | memoryview, offset: int, record_bytes: int) -> list[int]:
    """Return 8 bytes of each record, those at `offset`, as a number."""
    return memoryview(records).cast("Q")[offset // _WORD_BYTES :: record_bytes // _WORD_BYTES].tolist()
