"""One version of one file: its path, size and modification time, and the names derived from them.

A file can be written and keep its size and modification time, or be replaced by another one of the same. Its
`FileStamp` shows that.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import xxhash


class FileVersion(NamedTuple):
    """What identifies the bytes that are sent; a change of any field makes another version."""

    path: bytes  # relative to the watched directory, "/"-separated, as the bytes that the kernel uses
    size: int  # bytes
    mtime_ns: int  # ns since 1970-01-01 UTC, may be negative

    def _text(self) -> bytes:
        return b"%s\0%d\0%d" % self

    def upload_id(self) -> bytes:
        """Return the 16 hex digits of the header ``upload_id``: xxh3_64 of ``path NUL size NUL mtime_ns``."""
        return xxhash.xxh3_64_hexdigest(self._text()).encode()

    def identity(self) -> bytes:
        """Return 16 bytes that represent this version in sets of millions: the key of its path, and 8 bytes more.

        With 128 bits, two versions among a million share an identity in one of 10^26 directories.
        """
        return xxhash.xxh3_64_digest(self.path) + xxhash.xxh3_64_digest(b"%s,%d,%d" % self)


PATH_KEY_BYTES = 8


def path_key(path: bytes) -> bytes:
    """Return 8 bytes that represent a path, of a file or a folder: those that the identities begin with."""
    return xxhash.xxh3_64_digest(path)


def folders_above(path: bytes) -> Iterator[bytes]:
    """Yield the folders that `path` lies in, from the innermost on, without the directory itself."""
    while path := path.rpartition(b"/")[0]:
        yield path


class FileStamp(NamedTuple):
    """What differs once a file was written or replaced, even if its size and mtime were put back; 0 is unknown."""

    ctime_ns: int  # ns since 1970-01-01 UTC
    inode: int

    def differs_from(self, other: FileStamp) -> bool:
        """Return whether the file may have changed between the two; what either does not know does not count."""
        if self == other:
            return False
        return any(ours != theirs and ours and theirs for ours, theirs in zip(self, other))

    def proves_same(self, earlier: FileStamp) -> bool:
        """Return whether nothing was written since `earlier`, if that is older than a tick of the clock.

        Whole seconds are the ctime of a file system that keeps no finer one: its ticks are too long for a proof.
        """
        return self == earlier and self.ctime_ns % 1_000_000_000 != 0 and self.inode != 0


UNKNOWN_STAMP = FileStamp(0, 0)
