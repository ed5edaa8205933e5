"""An index of millions of fixed records, which takes no more than their bytes.

It is written by hand because a dict takes some 200 bytes each, and the file of a database would be a second record
beside the table, which could contradict it.
"""

from __future__ import annotations

import sys
from array import array
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from itertools import accumulate
from operator import eq, itemgetter, sub
from typing import cast

IDENTITY_BYTES = 16
_WORD_BYTES = 8
N_PARTS = 16  # of the records: where many are compared, one at a time, so that the memory for it is small
_PREFIXES = 1 << 16
_MAX_SEARCHED = 64  # records, which are searched from the first to the last
_MIN_PREFIXED = 10_000  # records; where they are found among fewer is no matter
_MIN_MERGED = 50_000  # records that are added before a merge; in the dict they cost some 200 bytes each


class RecordIndex:
    """Records of which the first bytes are the key, at least 8; of several with one key the last counts.

    Most are in one sorted string, and found by its parts that begin with the same two bytes: keys are digests, so
    that these parts are alike. New ones are in a dict until there are enough of them to be merged.
    """

    def __init__(self, records: Iterable[bytes], key_bytes: int, record_bytes: int) -> None:
        """Begin with `records`, all of the same size, which is a multiple of 8."""
        self._key_bytes = key_bytes
        self._record_bytes = record_bytes
        # As a Python function it would be slower, and a million records are sorted at a time.
        self._key = cast("Callable[[bytes], bytes]", itemgetter(slice(key_bytes)))
        self._sorted = b""
        self._ends: array[int] = array("Q")  # of the records by their first two bytes; empty if they are few
        self._fresh: dict[bytes, bytes] = {}  # by key; empty for a record that was removed
        self.set_all(self._join(sorted(records, key=self._key)))

    def __len__(self) -> int:
        """Return the number of records; one that was replaced or removed lately may count twice."""
        return len(self._sorted) // self._record_bytes + len(self._fresh)

    def find(self, key: bytes) -> bytes | None:
        """Return the record with `key`, or None."""
        fresh = self._fresh.get(key)
        if fresh is not None:
            return fresh or None
        size = self._record_bytes
        at, end = 0, len(self._sorted)
        if not end:
            return None
        if self._ends:
            prefix = key[0] << 8 | key[1]
            at, end = self._ends[prefix - 1], self._ends[prefix]
        while end - at > _MAX_SEARCHED * size:  # whoever chooses paths can give their digests the same beginning
            middle = (at + end) // 2 // size * size
            if self._sorted[middle : middle + self._key_bytes] <= key:
                at = middle
            else:
                end = middle
        while (at := self._sorted.find(key, at, end)) >= 0:
            if not at % size:
                return self._sorted[at : at + size]
            at += 1  # the end of one record and the beginning of the next
        return None

    def has_any(self, keys: Collection[bytes]) -> bool:
        """Return whether there is a record with one of `keys`, or was one that was removed lately."""
        if not self._fresh.keys().isdisjoint(keys):
            return True
        return bool(self._sorted) and any(self.find(key) is not None for key in keys)

    def finder(self) -> Callable[[bytes], bool]:
        """Return a quick function that tells whether a record begins with a key and some more.

        It may say no where that takes long to find out, and is good until a record is added or removed.
        """
        records, size, ends, fresh, width = (
            self._sorted,
            self._record_bytes,
            self._ends,
            self._fresh,
            self._key_bytes,
        )
        if not ends or max(map(sub, ends[:-1], ends[-1:] + ends)) > 16 * _MAX_SEARCHED * size:
            return lambda start: (self.find(start[:width]) or b"").startswith(start)

        def is_there(start: bytes) -> bool:
            prefix = start[0] << 8 | start[1]
            at = records.find(start, ends[prefix - 1], ends[prefix])
            return at >= 0 and not at % size and start[:width] not in fresh

        return is_there

    def put(self, record: bytes) -> None:
        """Add a record, or replace the one with its key."""
        self._fresh[record[: self._key_bytes]] = record
        self._merge_if_many()

    def _merge_if_many(self) -> None:
        # In proportion to the sorted records, so that the cost of merging per record stays constant.
        if len(self._fresh) >= max(_MIN_MERGED, len(self._sorted) // self._record_bytes):
            self.merge()

    def put_all(self, records: Sequence[bytes]) -> None:
        """Add records, as `put` does."""
        width = self._key_bytes
        self._fresh.update([(record[:width], record) for record in records])
        self._merge_if_many()

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
        self.set_all(self._join(records))

    def parts(self) -> list[memoryview]:
        """Return all records in `N_PARTS` parts, by the first bits of their keys."""
        self.merge()
        size = self._record_bytes
        first_bytes = self._sorted[::size]
        starts = [size * bisect_left(first_bytes, part * 256 // N_PARTS) for part in range(N_PARTS)]
        view = memoryview(self._sorted)
        return [view[start:end] for start, end in zip(starts, [*starts[1:], len(view)])]

    def all(self) -> bytes:
        """Return all records, sorted."""
        self.merge()
        return self._sorted

    def set_all(self, records: bytes) -> None:
        """Replace all by what `all` has returned."""
        self._sorted = records
        self._ends = array("Q")
        if len(records) >= _MIN_PREFIXED * self._record_bytes:
            self._ends = _ends(records, self._record_bytes)
        self._fresh = {}

    def _join(self, ordered: list[bytes]) -> bytes:
        """Return sorted records in one string, the last one of each key."""
        joined = b"".join(ordered)
        words = memoryview(joined).cast("Q")[:: self._record_bytes // _WORD_BYTES]
        if not any(map(eq, words, words[1:])):
            return joined
        return b"".join({record[: self._key_bytes]: record for record in ordered}.values())


def _ends(records: bytes, record_bytes: int) -> array[int]:
    """Return where the records end, in bytes, that begin with each two bytes; then 0, before the first of them."""
    prefixes = Counter(memoryview(records).cast("H")[:: record_bytes // 2].tolist())
    swap = sys.byteorder == "little"  # the prefixes are numbers of this machine
    keys = ((prefix & 0xFF) << 8 | prefix >> 8 if swap else prefix for prefix in range(_PREFIXES))
    return array("Q", [*accumulate(prefixes.get(key, 0) * record_bytes for key in keys), 0])


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
