"""An index of millions of completed files, at 32 bytes each.

It is written by hand because a dict takes some 200 bytes each, and the file of a database would be a second record
beside the table, which could contradict it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from operator import itemgetter
from typing import cast

_KEY_BYTES = 16  # of an identity
_RECORD_BYTES = 32  # an identity and a digest
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
        records = self._sorted
        low, high = 0, len(records) // _RECORD_BYTES
        while low < high:
            middle = (low + high) // 2
            if records[middle * _RECORD_BYTES : middle * _RECORD_BYTES + _KEY_BYTES] <= identity:
                low = middle + 1
            else:
                high = middle
        if not low:
            return None
        record = records[(low - 1) * _RECORD_BYTES : low * _RECORD_BYTES]
        return record[_KEY_BYTES:] if record[:_KEY_BYTES] == identity else None

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
