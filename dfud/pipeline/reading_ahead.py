"""Reading a file whose SHA-512 must be known before its first chunk is handed on.

A file of one run is hashed where it lies in the ring. A larger one is read twice: once to be hashed, by SHA-512
and xxh3_128; and once as any other file, into the ring, when its xxh3_128 has to come out the same. The second
reading mostly finds the file in the page cache, and takes a small part of what SHA-512 takes: holding larger files
in the ring until their digest is known would gain little, and have one file hold up all others of its lane.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import xxhash

from dfud.core.chunks import count_chunks
from dfud.messages import FileTask, RunReady
from dfud.pipeline.reading import Reading, Reserved
from dfud.pipeline.ring import Ring

_PIECE = 1 << 20  # bytes, the most that is hashed ahead in one step


class ReadingAhead(Reading):
    """One task, with `sha512` set when the first run is handed on, if anything is to be sent at all."""

    def __init__(self, task: FileTask, ring: Ring, run_bytes: int, folder: int) -> None:
        super().__init__(task, ring, run_bytes, folder)
        self._sha512 = hashlib.sha512()
        self._ahead = 0  # bytes that have been hashed ahead
        self._expected = ""  # xxh3_128 of what has been hashed ahead
        n_chunks = count_chunks(task.version.size, task.chunk_size)
        is_one_run = n_chunks <= self._scratch_bytes // task.chunk_size and task.to_send == ((1, n_chunks),)
        self._is_ahead = is_one_run or not task.to_send

    def step(self, reserve: Callable[[int], Reserved]) -> RunReady | None:
        """Hash a piece of the file ahead; or, when that is done, read the next run."""
        if self._is_ahead:
            return super().step(reserve)
        view = self._scratch_view(min(self._scratch_bytes, _PIECE, self.task.version.size - self._ahead))
        self._read(view, self._ahead)
        self._sha512.update(view)
        self._ahead += len(view)
        if self._ahead == self.task.version.size:
            self._expected = self._whole()
            self.sha512 = self._sha512.digest()
            self._hash = xxhash.xxh3_128()
            self._is_ahead = True
        return None

    def _digests(self, view: memoryview) -> bytes:
        """Return nothing: the producer, which has less to do, computes the SHA-512 of each chunk."""
        if not self.sha512:
            self.sha512 = hashlib.sha512(view).digest()
        return b""

    def _whole(self) -> str:
        whole = super()._whole()
        if self._expected and whole != self._expected:
            self._lose_version()  # with the same size and mtime
        return whole
