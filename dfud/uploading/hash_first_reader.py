"""Reading a file whose SHA-512 must be known before its first chunk is sent.

A file of one run is hashed where it lies in the ring. A larger one is read twice: once to be hashed, by SHA-512
and xxh3_128; and once like any other file, into the ring, when its xxh3_128 has to be the same again. The second
reading mostly finds the file in the page cache, and takes a small part of the time that SHA-512 takes. To keep
larger files in the ring until their digest is known would gain little, and hold up all other files of the lane.
"""

from __future__ import annotations

import hashlib

import xxhash

from dfud.files.links import LinkPolicy
from dfud.files.openat import DEFAULT_LINKS
from dfud.messages import FileTask, RunReady
from dfud.uploading.file_reader import FileReader, Reserve, was_touched
from dfud.uploading.ring import Ring

_MAX_STEP_BYTES = 1 << 20  # that are hashed in advance in one step


class HashFirstReader(FileReader):
    """Reads the file of one task; `sha512` is set before the first run is returned, if any is to be sent."""

    def __init__(
        self, task: FileTask, ring: Ring, run_bytes: int, dir_fd: int, links: LinkPolicy = DEFAULT_LINKS
    ) -> None:
        """Open the file; see `FileReader`."""
        super().__init__(task, ring, run_bytes, dir_fd, links)
        self._sha512_hash = hashlib.sha512()
        self._hashed = 0  # bytes of the first reading
        self._is_hashed = not task.to_send

    def step(self, reserve: Reserve) -> RunReady | None:
        """Hash the next part of the file; once all of it is hashed, read the next run."""
        if self._is_hashed:
            return super().step(reserve)
        view = self._scratch_view(min(self._scratch_bytes, _MAX_STEP_BYTES, self.task.version.size - self._hashed))
        self._read(view, self._hashed)
        self._sha512_hash.update(view)
        self._hashed += len(view)
        if self._hashed == self.task.version.size:
            was_touched(self._descriptor, self._status, self.task.version)  # if it has changed, that is known now
            self._expected = self._hash.hexdigest()
            self.sha512 = self._sha512_hash.digest()
            self._hash = xxhash.xxh3_128()
            self._is_hashed = True
        return None

    @staticmethod
    def _chunk_digests(view: memoryview, chunk_size: int) -> bytes:
        """Return nothing: the producer, which has less to do, computes the SHA-512 of each chunk."""
        return b""

    @staticmethod
    def _sha512(view: memoryview) -> bytes:
        return hashlib.sha512(view).digest()
