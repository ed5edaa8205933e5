"""What the readers have found on the topic, in a few hundred megabytes for a million files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import xxhash

from dfud.core.chunk import XXH3_128
from dfud.core.openmsistream import mtime_seconds
from dfud.core.version import FileVersion
from dfud.logs.completed.index import CompletedIndex

# A record: the identity of a version that is complete on the topic, its digest (zeros if that is not an xxh3_128),
# the identity of the local file, that is, the one in the directory (zeros for none), and how the two compare.
RECORD_BYTES = 16 + 16 + 16 + 1
ABSENT, SAME, DIFFERS, CORRUPT = b"n", b"s", b"d", b"w"  # CORRUPT: the topic's bytes do not have their digest
_PATH_HASH_BYTES = 8
_ZEROS = bytes(16)


def pack_record(
    version: FileVersion, algorithm: str, digest: str, local: FileVersion | None, state: bytes
) -> bytes:
    """Return a record, as the readers send it."""
    known_digest = bytes.fromhex(digest) if algorithm == XXH3_128 else _ZEROS
    return version.identity() + known_digest + (local.identity() if local is not None else _ZEROS) + state


def path_hash(path: bytes) -> bytes:
    """Return 8 bytes that stand for a path."""
    return xxhash.xxh3_64_digest(path)


class Findings(NamedTuple):
    """What is on the topic and matters to the comparison; each index is by 16 bytes of identity."""

    complete: CompletedIndex  # versions that are complete and intact on the topic, with their digests
    same: CompletedIndex  # local files that equal a complete version on the topic
    differing: CompletedIndex  # local files of whose path and size the topic has other bytes
    other_paths: frozenset[bytes]  # hashes of paths that the topic has in another size

    @classmethod
    def from_batches(cls, record_batches: list[bytes], path_batches: Iterable[bytes]) -> Findings:
        """Merge what the readers have sent, in order: of several records of one version the last counts.

        `record_batches` is emptied on the way, to have nothing in memory twice.
        """
        complete, same, differing = bytearray(), bytearray(), bytearray()
        for bucket in _sort_into_buckets(record_batches):
            last_records = {record[:16]: record for record in _split(bytes(bucket), RECORD_BYTES)}
            bucket.clear()
            for record in last_records.values():
                local, state = record[32:48], record[48:]
                if state != CORRUPT:
                    complete += record[:32]
                if state == SAME:
                    same += local + _ZEROS
                elif state != ABSENT and local != _ZEROS:
                    differing += local + _ZEROS
        hashes = frozenset(each for batch in path_batches for each in _split(batch, _PATH_HASH_BYTES))
        return cls(_index(complete), _index(same), _index(differing), hashes)

    def has_complete(self, version: FileVersion, digest: bytes) -> bool:
        """Return whether a version is complete and intact on the topic, with this digest."""
        for each in (version, _with_float_mtime(version)):
            known_digest = self.complete.digest(each.identity())
            if known_digest is not None and known_digest in (digest, _ZEROS):
                return True
        return False

    def is_same(self, local: FileVersion) -> bool:
        """Return whether the topic has a local file, byte for byte."""
        return self.same.digest(local.identity()) is not None

    def is_differing(self, local: FileVersion) -> bool:
        """Return whether the topic has other bytes than a local file, of the same path and size."""
        return self.differing.digest(local.identity()) is not None

    def has_other_size(self, path: bytes) -> bool:
        """Return whether the topic has a path in another size than the directory."""
        return path_hash(path) in self.other_paths


def _with_float_mtime(version: FileVersion) -> FileVersion:
    """Return `version` with its mtime rounded as in OpenMSIStream's messages, where it is float seconds."""
    return version._replace(mtime_ns=round(mtime_seconds(version.mtime_ns) * 1_000_000_000))


def _sort_into_buckets(batches: list[bytes]) -> list[bytearray]:
    """Distribute records by the first byte of their identity; each bucket keeps their order."""
    buckets = [bytearray() for _ in range(256)]
    batches.reverse()
    while batches:
        for record in _split(batches.pop(), RECORD_BYTES):
            buckets[record[0]] += record
    return buckets


def _index(records: bytearray) -> CompletedIndex:
    return CompletedIndex(_split(bytes(records), 32))


def _split(data: bytes, length: int) -> Iterator[bytes]:
    return (data[at : at + length] for at in range(0, len(data), length))
