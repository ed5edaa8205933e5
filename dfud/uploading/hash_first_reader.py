"""Reading a file whose SHA-512 must be known before its first chunk is handed on.

A file of one run is hashed where it lies in the ring. A larger one is read twice: once to be hashed, by SHA-512
and xxh3_128; and once as any other file, into the ring, when its xxh3_128 has to come out the same. The second
reading mostly finds the file in the page cache, and takes a small part of what SHA-512 takes: holding larger files
in the ring until their digest is known would gain little, and have one file hold up all others of its lane.
"""

from __future__ import annotations

import hashlib

import xxhash

from dfud.messages import FileTask, RunReady
from dfud.uploading.file_reader import FileReader, Reserve, lost_version
from dfud.uploading.ring import Ring

_PIECE = 1 << 20  # bytes, the most that is hashed ahead in one step


class HashFirstReader(FileReader):
    """One task, with `sha512` set when the first run is handed on, if anything is to be sent at all."""

    def __init__(self, task: FileTask, ring: Ring, run_bytes: int, folder: int) -> None:
        super().__init__(task, ring, run_bytes, folder)
        self._hash_ahead = hashlib.sha512()
        self._ahead = 0  # bytes that have been hashed ahead
        self._expected = ""  # xxh3_128 of what has been hashed ahead
        self._is_ahead = not task.to_send

    def step(self, reserve: Reserve) -> RunReady | None:
        """Hash a piece of the file ahead; or, when that is done, read the next run."""
        if self._is_ahead:
            return super().step(reserve)
        view = self._scratch_view(min(self._scratch_bytes, _PIECE, self.task.version.size - self._ahead))
        self._read(view, self._ahead)
        self._hash_ahead.update(view)
        self._ahead += len(view)
        if self._ahead == self.task.version.size:
            self._expected = self._whole()
            self.sha512 = self._hash_ahead.digest()
            self._hash = xxhash.xxh3_128()
            self._is_ahead = True
        return None

    @staticmethod
    def _digests(view: memoryview, chunk_size: int) -> bytes:
        """Return nothing: the producer, which has less to do, computes the SHA-512 of each chunk."""
        return b""

    @staticmethod
    def _sha512(view: memoryview) -> bytes:
        return hashlib.sha512(view).digest()

    def _whole(self) -> str:
        whole = super()._whole()
        if self._expected and whole != self._expected:
            raise lost_version(self._descriptor, self.task.version)  # of the same size and mtime
        return whole
