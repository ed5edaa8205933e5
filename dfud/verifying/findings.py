"""What the readers have found, kept so that a million files take some hundred megabytes at the most."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import xxhash

from dfud.core.chunk import XXH3_128
from dfud.core.openmsistream import mtime_seconds
from dfud.core.version import FileVersion
from dfud.logs.completed.index import CompletedIndex

# A record: identity of the version, digest of the whole (zeros where it is no xxh3_128), identity of the file here
# (zeros for none), and what the two are to one another.
RECORD = 16 + 16 + 16 + 1
NOT_HERE, SAME, DIFFERS, WRONG = (
    b"n",
    b"s",
    b"d",
    b"w",
)  # wrong: the bytes on the topic are not those of its digest
_NOTHING = bytes(16)


def record(version: FileVersion, algorithm: str, digest: str, here: FileVersion | None, state: bytes) -> bytes:
    """Return a record as the readers send it."""
    known = bytes.fromhex(digest) if algorithm == XXH3_128 else _NOTHING
    return version.identity() + known + (here.identity() if here is not None else _NOTHING) + state


def path_mark(path: bytes) -> bytes:
    """Return 8 bytes that stand for a path."""
    return xxhash.xxh3_64_digest(path)


def as_openmsistream_tells(version: FileVersion) -> FileVersion:
    """Return `version` with its mtime as it is when it has been float seconds."""
    return version._replace(mtime_ns=round(mtime_seconds(version.mtime_ns) * 1_000_000_000))


class Findings(NamedTuple):
    """All that is on the topic, as far as it matters; each index is by 16 bytes of identity."""

    whole: CompletedIndex  # versions that are whole on the topic, with the digest that they have there
    same: CompletedIndex  # files here whose bytes are those of a version that is whole on the topic
    differing: CompletedIndex  # files here of which the topic has other bytes under the same size
    other_paths: frozenset[bytes]  # of paths that the topic has in another size

    def has(self, version: FileVersion, digest: bytes) -> bool:
        """Tell whether a version is whole on the topic, with this digest."""
        for each in (version, as_openmsistream_tells(version)):
            found = self.whole.digest(each.identity())
            if found is not None and found in (digest, _NOTHING):
                return True
        return False


def findings(batches: list[bytes], paths: Iterable[bytes]) -> Findings:
    """Put together what the readers have sent, in the order of their sending: the last of a version holds.

    `batches` is emptied on the way, so that nothing is there twice.
    """
    whole, same, differing = bytearray(), bytearray(), bytearray()
    for bucket in _sorted_out(batches):
        last = {each[:16]: each for each in _cut(bytes(bucket), RECORD)}
        bucket.clear()
        for each in last.values():
            state = each[48:]
            if state != WRONG:
                whole += each[:32]
            if state == SAME:
                same += each[32:48] + _NOTHING
            elif state != NOT_HERE and each[32:48] != _NOTHING:
                differing += each[32:48] + _NOTHING
    marks = frozenset(mark for batch in paths for mark in _cut(batch, 8))
    return Findings(_index(whole), _index(same), _index(differing), marks)


def _sorted_out(batches: list[bytes]) -> list[bytearray]:
    """Deal the records out by the first byte of their identity, in their order."""
    buckets = [bytearray() for _ in range(256)]
    batches.reverse()
    while batches:
        for each in _cut(batches.pop(), RECORD):
            buckets[each[0]] += each
    return buckets


def _index(records: bytearray) -> CompletedIndex:
    return CompletedIndex(_cut(bytes(records), 32))


def _cut(data: bytes, length: int) -> Iterator[bytes]:
    return (data[at : at + length] for at in range(0, len(data), length))
