"""What a directory has to hold after the messages of honest files: for each path the version completed last."""

from __future__ import annotations

import hashlib
from typing import NamedTuple

import xxhash

from dfud.core.chunk import SHA512, Chunk


class _Placed(NamedTuple):
    data: bytes
    at: int  # the offset of the message that completed it


class _Collection:
    """The bytes of one version that have arrived."""

    def __init__(self) -> None:
        self.bytes: dict[int, int] = {}  # by offset
        self.size: int | None = None
        self.digest = ""
        self.has_changed = self.has_failed = False

    def add(self, chunk: Chunk) -> bytes | None:
        """Add a chunk; return the content of the file if that makes it complete."""
        if chunk.digest and chunk.digest != self.digest:
            self.has_changed = bool(self.digest)
            self.digest = chunk.digest
        if self.size is None:
            self.size = chunk.size
        new = dict(enumerate(chunk.data, chunk.offset))
        if new.keys() <= self.bytes.keys() and any(self.bytes[at] != byte for at, byte in new.items()):
            self.has_changed = True
        self.bytes.update(new)
        if not self.digest or self.size is None or len(self.bytes) < self.size:
            return None
        if self.has_failed and not (self.has_changed and chunk.number == chunk.n_chunks):
            return None
        self.has_changed = False
        data = bytes(self.bytes[at] for at in range(self.size))
        digest = hashlib.sha512(data) if chunk.algorithm == SHA512 else xxhash.xxh3_128(data)
        self.has_failed = digest.hexdigest() != self.digest
        return None if self.has_failed else data


class Model:
    """Responsible for the files of a directory, given the chunks of a topic in their order."""

    def __init__(self) -> None:
        self._placed: dict[bytes, _Placed] = {}
        self._collections: dict[bytes, dict[bytes, _Collection]] = {}  # by path and identity

    def take(self, chunk: Chunk, at: int) -> None:
        """Take the chunk of the message at offset `at`."""
        of_path = self._collections.setdefault(chunk.path, {})
        identity = chunk.identity()
        if chunk.n_chunks == 1:
            digest = hashlib.sha512(chunk.data) if chunk.algorithm == SHA512 else xxhash.xxh3_128(chunk.data)
            if digest.hexdigest() == chunk.digest:
                self._place(chunk.path, chunk.data, at)
            return
        data = of_path.setdefault(identity, _Collection()).add(chunk)
        if data is not None:
            self._place(chunk.path, data, at)

    def _place(self, path: bytes, data: bytes, at: int) -> None:
        """Put a file in place, and nothing else may be there: no file above it, and none below it."""
        for other in {*self._placed, *self._collections}:
            if other.startswith(path + b"/") or path.startswith(other + b"/"):
                self._placed.pop(other, None)
                self._collections.pop(other, None)  # what was sent in part is gone, too
        self._placed[path] = _Placed(data, at)
        self._collections[path].clear()

    def files(self) -> dict[bytes, bytes]:
        """Return the content of each file by its path."""
        return {path: placed.data for path, placed in self._placed.items()}
