"""What is known of millions of completed files: 32 bytes each, and no row."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from operator import itemgetter
from typing import cast

_KEY = 16  # bytes of an identity
_RECORD = 32  # an identity and a digest
_MERGE_AT = 50_000  # fresh entries; they cost some 200 bytes each


# Of a record; as a function of our own it would be slower, and a million are sorted at once.
_identity = cast("Callable[[bytes], bytes]", itemgetter(slice(_KEY)))


class CompletedIndex:
    """From the identity of a file's version to the xxh3_128 of its content.

    The bulk is one sorted string of records, searched by halves; what is new lies in a dict until there is
    enough of it to be merged.
    """

    def __init__(self, records: Iterable[bytes] = ()) -> None:
        """Begin with `records`, each an identity and a digest; where one comes twice, its last digest counts."""
        ordered = sorted(records, key=_identity)
        self._sorted = b"".join(ordered)
        self._fresh: dict[bytes, bytes] = {}

    def __len__(self) -> int:
        """Count the versions; those that came twice at the beginning count twice."""
        return len(self._sorted) // _RECORD + len(self._fresh)

    def add(self, identity: bytes, digest: bytes) -> None:
        """Add a version, both of 16 bytes; a later digest of the same version takes the place of the earlier."""
        self._fresh[identity] = digest
        # Growing with the bulk, so that merging costs the same for each entry however many there are.
        if len(self._fresh) >= max(_MERGE_AT, len(self._sorted) // _RECORD):
            self._merge()

    def digest(self, identity: bytes) -> bytes | None:
        """Return the digest of a version, or None if it is not known."""
        fresh = self._fresh.get(identity)
        if fresh is not None:
            return fresh
        records = self._sorted
        low, high = 0, len(records) // _RECORD
        while low < high:
            middle = (low + high) // 2
            if records[middle * _RECORD : middle * _RECORD + _KEY] <= identity:
                low = middle + 1
            else:
                high = middle
        if not low:
            return None
        record = records[(low - 1) * _RECORD : low * _RECORD]
        return record[_KEY:] if record[:_KEY] == identity else None

    def _merge(self) -> None:
        old = self._sorted
        records = [
            record
            for record in (old[at : at + _RECORD] for at in range(0, len(old), _RECORD))
            if record[:_KEY] not in self._fresh
        ]
        records += [identity + digest for identity, digest in self._fresh.items()]
        records.sort(key=_identity)  # which leaves those of one version in their order
        self._sorted = b"".join(records)
        self._fresh = {}
