"""An index of millions of completed files, at 32 bytes each.

It is written by hand because a dict takes some 200 bytes each, and the file of a database would be a second record
beside the table, which could contradict it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from operator import itemgetter
from typing import cast

_KEY_BYTES = 16  # of an identity
_RECORD_BYTES = 32  # an identity and a digest
_PARTS = 16  # of the identities that are counted: one at a time, so that the memory for it is small
_MIN_MERGED = 50_000  # entries that are added before a merge; in the dict they cost some 200 bytes each

# Of a record. As a Python function it would be slower, and a million records are sorted at a time.
_identity = cast("Callable[[bytes], bytes]", itemgetter(slice(_KEY_BYTES)))


class CompletedIndex:
    """Maps the identity of a file's version to the xxh3_128 of its content.

    Most entries are in one sorted string of records, found by binary search; new ones are in a dict until there
    are enough of them to be merged.
    """

    def __init__(self, records: Iterable[bytes] = ()) -> None:
        """Begin with `records`, each an identity and a digest; of a repeated identity the last digest counts."""
        ordered = sorted(records, key=_identity)
        self._sorted = b"".join(ordered)
        self._fresh: dict[bytes, bytes] = {}

    def __len__(self) -> int:
        """Return the number of versions; one that `records` had twice counts twice."""
        return len(self._sorted) // _RECORD_BYTES + len(self._fresh)

    def add(self, identity: bytes, digest: bytes) -> None:
        """Add a version and its digest, 16 bytes each; a later digest of a version replaces the earlier one."""
        self._fresh[identity] = digest
        # In proportion to the sorted records, so that the cost of merging per entry stays constant.
        if len(self._fresh) >= max(_MIN_MERGED, len(self._sorted) // _RECORD_BYTES):
            self._merge()

    def digest(self, identity: bytes) -> bytes | None:
        """Return the digest of a version, or None if the version is unknown."""
        fresh = self._fresh.get(identity)
        if fresh is not None:
            return fresh
        end = self._end(identity)
        if not end:
            return None
        record = self._sorted[(end - 1) * _RECORD_BYTES : end * _RECORD_BYTES]
        return record[_KEY_BYTES:] if record[:_KEY_BYTES] == identity else None

    def count_unknown(self, identities: bytes | bytearray, others: Collection[bytes] = ()) -> int:
        """Return how many of `identities`, 16 bytes each, are neither here nor in `others`.

        A million of them in an index of a million versions take less than a second. Unless there are few of them,
        only their first 8 bytes are compared, which are the same by chance in one of 10^7 such directories: the
        number is only for the user to read.
        """
        count = len(identities) // _KEY_BYTES
        starts = range(0, len(identities), _KEY_BYTES)
        if count * _PARTS < len(self):
            asked = (bytes(identities[at : at + _KEY_BYTES]) for at in starts)
            return sum(identity not in others and self.digest(identity) is None for identity in asked)
        parts = [bytearray() for _ in range(_PARTS)]
        for at in starts:
            parts[identities[at] * _PARTS >> 8] += identities[at : at + _KEY_BYTES]
        fresh = set(_first_words(b"".join([*self._fresh, *others]), _KEY_BYTES))
        bounds = [self._end(bytes([part * 256 // _PARTS])) for part in range(_PARTS)]
        unknown = 0
        for part, first, last in zip(parts, bounds, [*bounds[1:], len(self._sorted) // _RECORD_BYTES]):
            records = memoryview(self._sorted)[first * _RECORD_BYTES : last * _RECORD_BYTES]
            known = fresh.union(_first_words(records, _RECORD_BYTES))
            words = _first_words(part, _KEY_BYTES)
            unknown += len(words) - sum(map(known.__contains__, words))
        return unknown

    def _end(self, identity: bytes) -> int:
        """Return the number of sorted records up to `identity`."""
        records = self._sorted
        low, high = 0, len(records) // _RECORD_BYTES
        while low < high:
            middle = (low + high) // 2
            if records[middle * _RECORD_BYTES : middle * _RECORD_BYTES + _KEY_BYTES] <= identity:
                low = middle + 1
            else:
                high = middle
        return low

    def _merge(self) -> None:
        old = self._sorted
        records = [
            record
            for record in (old[at : at + _RECORD_BYTES] for at in range(0, len(old), _RECORD_BYTES))
            if record[:_KEY_BYTES] not in self._fresh
        ]
        records += [identity + digest for identity, digest in self._fresh.items()]
        records.sort(key=_identity)  # stable: the records of one version keep their order
        self._sorted = b"".join(records)
        self._fresh = {}


def _first_words(records: bytes | bytearray | memoryview, record_bytes: int) -> list[int]:
    """Return the first 8 bytes of each record as a number."""
    return memoryview(records).cast("Q")[:: record_bytes // 8].tolist()
