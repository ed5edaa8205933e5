"""What the readers have found on the topic, in a few hundred megabytes for a million files."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import NamedTuple

import xxhash

from dfud.core.chunk import XXH3_128
from dfud.core.openmsistream import mtime_seconds
from dfud.core.place import PLACE_BYTES, is_after
from dfud.core.version import FileVersion
from dfud.logs.completed.index import CompletedIndex
from dfud.verifying.clash import paths_above

_PATH_HASH_BYTES = 8
_ZEROS = bytes(16)
# A record: the hash of a path, the place of the message that completed a version of it, the identity of that
# version, its digest (zeros if that is not an xxh3_128), the identity of the local file, that is, the one in the
# directory (zeros for none), and how the two compare.
RECORD_BYTES = _PATH_HASH_BYTES + PLACE_BYTES + 16 + 16 + 16 + 1
_PLACE, _VERSION, _DIGEST, _LOCAL = slice(8, 24), slice(24, 40), slice(40, 56), slice(56, 72)
_STATE = slice(72, 73)
ABSENT, SAME, DIFFERS, CORRUPT = b"n", b"s", b"d", b"w"  # CORRUPT: the topic's bytes do not have their digest
# A clash: the hash of a path (see `find_clash`), and the place of the message that completed the topic's version.
CLASH_BYTES = _PATH_HASH_BYTES + PLACE_BYTES


class LastVersion(NamedTuple):
    """The version of a path that counts: of those that are complete, the one that was sent last."""

    identity: bytes
    place: bytes


def pack_record(
    version: FileVersion, place: bytes, algorithm: str, digest: str, local: FileVersion | None, state: bytes
) -> bytes:
    """Return a record, as the readers send it."""
    known_digest = bytes.fromhex(digest) if algorithm == XXH3_128 else _ZEROS
    local_identity = local.identity() if local is not None else _ZEROS
    return path_hash(version.path) + place + version.identity() + known_digest + local_identity + state


def pack_clash(path: bytes, place: bytes) -> bytes:
    """Return a clash, as the readers send it."""
    return path_hash(path) + place


def path_hash(path: bytes) -> bytes:
    """Return 8 bytes that stand for a path."""
    return xxhash.xxh3_64_digest(path)


class Findings(NamedTuple):
    """What is on the topic and matters to the comparison; each index is by 16 bytes of identity."""

    complete: CompletedIndex  # versions that are complete and intact on the topic, with their digests
    same: CompletedIndex  # local files that equal the version that counts, with its place
    outdated: CompletedIndex  # local files that equal another version than the one that counts
    differing: CompletedIndex  # local files of whose path and size the topic has other bytes
    other_paths: frozenset[bytes]  # hashes of paths that the topic has in another size
    last: Mapping[bytes, LastVersion]  # by hash of the path, for the paths that were asked for
    clashes: Mapping[bytes, bytes]  # by hash of the path: the place of the last file that clashes with it
    n_corrupt: int  # versions that were sent last, and do not have their digest

    @classmethod
    def from_batches(
        cls, record_batches: list[bytes], clash_batches: Iterable[bytes], asked_paths: Collection[bytes] = ()
    ) -> Findings:
        """Merge what the readers have sent; tell the last version of the paths with the hashes `asked_paths`.

        `record_batches` is emptied on the way, to have nothing in memory twice.
        """
        merger = _Merger(asked_paths)
        for bucket in _sort_into_buckets(record_batches):
            merger.add(bytes(bucket))
            bucket.clear()
        clashes: dict[bytes, bytes] = {}
        for batch in clash_batches:
            for clash in _split(batch, CLASH_BYTES):
                path, place = clash[:_PATH_HASH_BYTES], clash[_PATH_HASH_BYTES:]
                if path not in clashes or is_after(place, clashes[path]):
                    clashes[path] = place
        return merger.findings(clashes)

    def has_complete(self, version: FileVersion, digest: bytes) -> bool:
        """Return whether a version is complete and intact on the topic, with this digest."""
        known_digest = self._digest(version)
        return known_digest is not None and known_digest in (digest, _ZEROS)

    def has_other_content(self, version: FileVersion) -> bool:
        """Return whether a version is complete on the topic, whatever its digest."""
        return self._digest(version) is not None

    def _digest(self, version: FileVersion) -> bytes | None:
        digests = (self.complete.digest(version._replace(mtime_ns=each).identity()) for each in mtimes_of(version))
        return next((digest for digest in digests if digest is not None), None)

    def is_same(self, local: FileVersion) -> bool:
        """Return whether what counts on the topic is a local file, byte for byte."""
        place = self.same.digest(local.identity())
        return place is not None and not (self.clashes and self._has_clash(local.path, place))

    def is_outdated(self, local: FileVersion) -> bool:
        """Return whether the topic has a local file, byte for byte, but a download would not leave it in place.

        Another version of the path was sent later, or a file that a folder had to make room for, or the reverse.
        """
        identity = local.identity()
        return self.outdated.digest(identity) is not None or self.same.digest(identity) is not None

    def _has_clash(self, path: bytes, place: bytes) -> bool:
        """Return whether something was sent after `place` that makes a download remove the file at `path`."""
        clashes = (self.clashes.get(path_hash(each)) for each in (*paths_above(path), path))
        return any(clash is not None and is_after(clash, place) for clash in clashes)

    def is_differing(self, local: FileVersion) -> bool:
        """Return whether the topic has other bytes than a local file, of the same path and size."""
        return self.differing.digest(local.identity()) is not None

    def last_version(self, path: bytes) -> bytes | None:
        """Return the identity of the version that was sent last; None unless the path was asked for."""
        last = self.last.get(path_hash(path))
        return None if last is None else last.identity

    def has_other_size(self, path: bytes) -> bool:
        """Return whether the topic has a path in another size than the directory."""
        return path_hash(path) in self.other_paths

    def is_past(self, version: FileVersion, place: bytes) -> bool:
        """Return whether an incomplete version, last sent at `place`, needs no more chunks.

        It is complete itself and some of it was sent again, or another version was completed later. The path has
        to be one of those that were asked for.
        """
        last = self.last.get(path_hash(version.path))
        return last is not None and (last.identity == version.identity() or is_after(last.place, place))


class _Merger:
    """Collects the indexes of `Findings` from records, those of each path at once."""

    def __init__(self, asked_paths: Collection[bytes]) -> None:
        self._asked_paths = asked_paths
        self._complete, self._same, self._outdated, self._differing = (bytearray() for _ in range(4))
        self._other_paths: list[bytes] = []
        self._last: dict[bytes, LastVersion] = {}
        self._n_corrupt = 0

    def add(self, records: bytes) -> None:
        """Add all records of some paths; of several records of one version the last one sent counts."""
        last_of_path: dict[bytes, bytes] = {}
        last_of_version: dict[bytes, bytes] = {}
        corrupt: list[bytes] = []
        for record in _split(records, RECORD_BYTES):
            if record[_STATE] == CORRUPT:
                corrupt.append(record)
                continue
            path, version, place = record[:_PATH_HASH_BYTES], record[_VERSION], record[_PLACE]
            known = last_of_path.get(path)
            if known is None or is_after(place, known[_PLACE]):
                last_of_path[path] = record
            known = last_of_version.get(version)
            if known is None or is_after(place, known[_PLACE]):
                last_of_version[version] = record
        for version, record in last_of_version.items():
            self._complete += version + record[_DIGEST]
            self._add(record, record is last_of_path[record[:_PATH_HASH_BYTES]])
        for record in corrupt:
            last = last_of_path.get(record[:_PATH_HASH_BYTES])
            if last is None or is_after(record[_PLACE], last[_PLACE]):
                self._n_corrupt += 1
                self._add_differing(record)
        for path in last_of_path.keys() & self._asked_paths:
            self._last[path] = LastVersion(last_of_path[path][_VERSION], last_of_path[path][_PLACE])

    def _add(self, record: bytes, is_last: bool) -> None:
        local, state = record[_LOCAL], record[_STATE]
        if state == SAME and is_last:
            self._same += local + record[_PLACE]
        elif state == SAME:
            self._outdated += local + _ZEROS
        elif state == ABSENT:
            self._other_paths.append(record[:_PATH_HASH_BYTES])
        else:
            self._add_differing(record)

    def _add_differing(self, record: bytes) -> None:
        if record[_LOCAL] != _ZEROS:
            self._differing += record[_LOCAL] + _ZEROS

    def findings(self, clashes: Mapping[bytes, bytes]) -> Findings:
        """Return what was added."""
        return Findings(
            _index(self._complete),
            _index(self._same),
            _index(self._outdated),
            _index(self._differing),
            frozenset(self._other_paths),
            self._last,
            clashes,
            self._n_corrupt,
        )


def mtimes_of(version: FileVersion) -> tuple[int, int]:
    """Return the mtimes that messages may state: the exact one, and OpenMSIStream's, rounded to float seconds."""
    return version.mtime_ns, round(mtime_seconds(version.mtime_ns) * 1_000_000_000)


def _sort_into_buckets(batches: list[bytes]) -> list[bytearray]:
    """Distribute records by the first byte of the hash of their path."""
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
