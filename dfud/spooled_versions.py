"""Versions of files whose chunks are being collected, in memory and in temporary files, for `dfud.read_files`."""

from __future__ import annotations

import errno
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import IO, Any, NamedTuple

import xxhash

from dfud.core.assembly import Assembly
from dfud.core.chunk import Chunk
from dfud.core.decode import Headers, headers_of
from dfud.core.place import place_of
from dfud.core.sent import Sent

_MAX_VERSIONS = 500  # that are incomplete at once; each may have a file open
_PAUSE_PER_CHECK = 10  # times as long as a check has taken, until the next one
_MAX_MEMORY = 64 << 20  # bytes, of all versions: what exceeds it goes to files


class _Last(NamedTuple):
    """The version of a path that was completed last."""

    identity: bytes
    sent: Sent


class SpooledVersion:
    """The chunks of one version of a file, in memory or in a temporary file."""

    def __init__(self, chunk: Chunk, spool_bytes: int, sent: Sent) -> None:
        """Begin with no chunk of the version that `chunk` is of; `sent` is where it lies."""
        self.path = chunk.path
        self.mtime_ns = chunk.mtime_ns
        self.algorithm = chunk.algorithm  # of the digest
        self.headers: Headers | None = None  # of the message that was added last
        self.identity = chunk.identity()
        self.sent = sent  # where its last chunk lies
        self.is_in_one_partition = True
        self.file: IO[bytes] = tempfile.SpooledTemporaryFile(spool_bytes)  # noqa: SIM115 (our owner closes it)
        self.assembly = Assembly(chunk.algorithm, chunk.size)
        self._spool_bytes = spool_bytes
        self._end = 0  # of the data
        self._is_mixed = False  # all bytes were there, but not of one content: it is being sent again
        self._is_changed = False  # since that was found

    @property
    def memory(self) -> int:
        """Bytes of it that are in memory."""
        return self._end if self._end <= self._spool_bytes else 0

    def spill(self) -> None:
        """Move the data to a file."""
        self.file.rollover()  # type: ignore[attr-defined]
        self._spool_bytes = -1

    def add(self, chunk: Chunk, sent: Sent) -> None:
        """Add a chunk; OSError if it cannot be stored."""
        self.is_in_one_partition &= sent.partition == self.sent.partition
        if sent.is_after(self.sent):
            self.sent = sent
        assembly = self.assembly
        assembly.digest = chunk.digest or assembly.digest
        if assembly.size is None:
            assembly.size = chunk.size
        if not chunk.data:
            return
        if chunk.offset > self._end:
            self.spill()  # a gap takes memory, but no space on disk
        self.file.seek(chunk.offset)
        self.file.write(chunk.data)
        self._end = max(self._end, chunk.offset + len(chunk.data))
        assembly.add(chunk.offset, chunk.data)
        self._is_changed = True

    def is_due(self, chunk: Chunk) -> bool:
        """Return whether the digest is to be verified, now that `chunk` was added."""
        return self.assembly.is_whole and (not self._is_mixed or chunk.number == chunk.n_chunks)

    @property
    def is_doubted(self) -> bool:
        """Whether all bytes are there, and some of them have come since they did not have their digest."""
        return self._is_mixed and self._is_changed and self.assembly.is_whole

    def verify(self) -> bool:
        """Return whether the bytes have their digest."""

        def read(length: int, offset: int) -> bytes:
            self.file.seek(offset)
            return self.file.read(length)

        is_right = self.assembly.verify(read)
        if not is_right:
            self._is_mixed, self._is_changed = True, False
            self.assembly.restart_hash()
        return is_right


class SpooledVersions:
    """Responsible for all versions that are incomplete: for their files, and for what they take of memory.

    There are never more than `_MAX_VERSIONS`: another one replaces that which has waited longest for a chunk.
    """

    def __init__(self, spool_bytes: int, remembers: bool, clock: Callable[[], float] = time.monotonic) -> None:
        """`spool_bytes` of each may be in memory; `remembers` says that `incomplete` will be called."""
        self._spool_bytes = max(1, spool_bytes)  # `tempfile` takes 0 for no limit
        self._remembers = remembers
        self._versions: dict[bytes, SpooledVersion] = {}  # by identity, that which has waited longest first
        self._by_path: dict[bytes, dict[bytes, None]] = {}  # identities
        self._memory = 0  # bytes
        self._last: dict[bytes, _Last] = {}  # by hash of the path
        self._dropped: dict[bytes, Sent] = {}  # by path
        self._clock = clock
        self._next_check = 0.0  # of what is doubted (s, as `clock`)

    def close(self) -> None:
        """Close all files."""
        for version in list(self._versions.values()):
            self._remove(version)

    def add(self, chunk: Chunk, message: Any) -> SpooledVersion | None:
        """Add a chunk; return the version if that makes it complete. The caller then closes its file."""
        identity, sent = chunk.identity(), place_of(message)
        version = self._versions.pop(identity, None)
        if version is None:
            if len(self._versions) >= _MAX_VERSIONS:
                self._drop(next(iter(self._versions.values())))
            version = SpooledVersion(chunk, self._spool_bytes, sent)
            self._by_path.setdefault(chunk.path, {})[identity] = None
        self._versions[identity] = version
        before = version.memory
        try:
            version.add(chunk, sent)
            version.headers = headers_of(message)
        except OSError as error:
            if error.errno not in (errno.EFBIG, errno.EINVAL):
                raise
            self._memory -= before
            self._remove(version, 0)  # the message claims an offset that no file system supports
            return None
        self._memory += version.memory - before
        if self._memory > _MAX_MEMORY and version.memory:
            self._memory -= version.memory
            version.spill()
        if not (version.is_due(chunk) and version.verify()):
            return None
        self._complete(version)
        return version

    def recheck(self, is_end: bool) -> Iterator[SpooledVersion]:
        """Yield the versions that have become complete although their last chunk was not the last to come.

        A sender may have several batches under way. Call this when there is nothing to read for a moment, or, if
        `is_end`, no more. The caller closes their files.
        """
        for version in [each for each in self._versions.values() if each.is_doubted]:
            began = self._clock()
            if began < self._next_check and not is_end:
                return
            is_right = self._versions.get(version.identity) is version and version.verify()
            now = self._clock()
            self._next_check = now + _PAUSE_PER_CHECK * (now - began)
            if is_right:
                self._complete(version)
                yield version

    def _complete(self, version: SpooledVersion) -> None:
        self._forget(version, version.memory)
        for identity in list(self._by_path.get(version.path, ())):
            other = self._versions[identity]
            is_known = version.is_in_one_partition and other.is_in_one_partition
            if is_known and other.sent.partition == version.sent.partition:
                self._remove(other)
        if self._remembers:
            key = xxhash.xxh3_64_digest(version.path)
            last = self._last.get(key)
            if last is None or version.sent.is_after(last.sent):
                self._last[key] = _Last(version.identity, version.sent)

    def _drop(self, version: SpooledVersion) -> None:
        if self._remembers and len(self._dropped) < _MAX_VERSIONS:
            self._dropped[version.path] = version.sent
        self._remove(version)

    def _remove(self, version: SpooledVersion, memory: int | None = None) -> None:
        self._forget(version, version.memory if memory is None else memory)
        version.file.close()

    def _forget(self, version: SpooledVersion, memory: int) -> None:
        self._memory -= memory
        del self._versions[version.identity]
        identities = self._by_path[version.path]
        del identities[version.identity]
        if not identities:
            del self._by_path[version.path]

    def incomplete(self) -> Iterator[bytes]:
        """Yield the paths of incomplete versions, but for those after which another was completed."""
        for version in self._versions.values():
            last = self._last.get(xxhash.xxh3_64_digest(version.path))
            if last is None or (last.identity != version.identity and not last.sent.is_after(version.sent)):
                yield version.path
        for path, sent in self._dropped.items():
            last = self._last.get(xxhash.xxh3_64_digest(path))
            if last is None or not last.sent.is_after(sent):
                yield path
