"""Ways to read and hash a file's bytes into shared memory: python -m benchmarks.micro.reading [FOLDER].

The files are made in FOLDER (by default that for temporary files), and are in the page cache when they are read.
"""

from __future__ import annotations

import mmap
import os
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import xxhash

from benchmarks.micro.timing import best, show

_LARGE = 64 << 20
_RUN = 1 << 20
_CHUNK = 16384
_MADV_POPULATE_READ = 22  # of Linux 5.14


class _Shared:
    """A shared map in place of the ring."""

    def __init__(self, run: int) -> None:
        self.map = mmap.mmap(-1, 16 * run)
        self.view = memoryview(self.map)
        self.run = run
        self._at = 0

    def next(self, length: int) -> memoryview:
        if self._at + length > len(self.view):
            self._at = 0
        place = self.view[self._at : self._at + length]
        self._at += length
        return place


def _digests(view: memoryview) -> str:
    digest = xxhash.xxh3_64_hexdigest
    return "".join([digest(view[at : at + _CHUNK]) for at in range(0, len(view), _CHUNK)])


def _by_preadv(path: bytes, ring: _Shared, hash_chunks: bool = False, hash_file: bool = False) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    state = xxhash.xxh3_128()
    offset = 0
    while True:
        place = ring.next(ring.run)
        count = os.preadv(descriptor, [place], offset)
        if not count:
            break
        if hash_file:
            state.update(place[:count])
        if hash_chunks:
            _digests(place[:count])
        offset += count
    os.close(descriptor)


def _by_mmap(path: bytes, ring: _Shared, advice: int | None = None) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    size = os.fstat(descriptor).st_size
    with mmap.mmap(descriptor, size, prot=mmap.PROT_READ) as mapped:
        if advice is not None:
            mapped.madvise(advice)
        with memoryview(mapped) as view:
            for offset in range(0, size, ring.run):
                part = view[offset : offset + ring.run]
                ring.next(len(part))[:] = part
                part.release()
    os.close(descriptor)


def _by_read(path: bytes, ring: _Shared) -> None:
    with open(path, "rb", buffering=0) as file:
        while data := file.read(ring.run):
            ring.next(len(data))[:] = data


def _by_readinto(path: bytes, ring: _Shared) -> None:
    with open(path, "rb", buffering=0) as file:
        while file.readinto(ring.next(ring.run)):
            pass


def _file_digest(ring: _Shared) -> None:
    state = xxhash.xxh3_128()
    for _ in range(_LARGE // ring.run):
        state.update(ring.next(ring.run))


def _read_all(read: Callable[[bytes, _Shared], None], paths: list[bytes], ring: _Shared) -> None:
    for path in paths:
        read(path, ring)


def main(parent: str | None) -> None:
    """Run the benchmark with files below `parent`."""
    with tempfile.TemporaryDirectory(dir=parent) as folder:
        large = Path(folder, "large")
        large.write_bytes(os.urandom(_LARGE))
        small = [Path(folder, f"small{number}") for number in range(1000)]
        for path in small:
            path.write_bytes(os.urandom(1024))
        source = bytes(large)
        ring = _Shared(_RUN)

        def timed(name: str, once: Callable[[], object]) -> None:
            took = best(once, 1, repeat=5)
            show(name, took, f"{_LARGE / took:8.0f} MB/s")

        print("a file of 64 MiB:")
        for run in (1 << 18, 1 << 20, 1 << 22):
            ring_of = _Shared(run)
            timed(f"preadv, {run >> 10} KiB at once", partial(_by_preadv, source, ring_of))
        timed("preadv, 1 MiB, digest of the file", lambda: _by_preadv(source, ring, hash_file=True))
        timed("preadv, 1 MiB, digests of all chunks", lambda: _by_preadv(source, ring, hash_chunks=True))
        timed("preadv, 1 MiB, both", lambda: _by_preadv(source, ring, hash_chunks=True, hash_file=True))
        timed("readinto", lambda: _by_readinto(source, ring))
        timed("read, then copied", lambda: _by_read(source, ring))
        timed("mmap, then copied", lambda: _by_mmap(source, ring))
        timed("mmap with MADV_SEQUENTIAL, then copied", lambda: _by_mmap(source, ring, mmap.MADV_SEQUENTIAL))
        timed("mmap with MADV_POPULATE_READ, then copied", lambda: _by_mmap(source, ring, _MADV_POPULATE_READ))
        timed("only the digest of the file", lambda: _file_digest(ring))

        print("files of 1 KiB, for each file:")
        names = [bytes(name) for name in small]
        for name, read in (("preadv", _by_preadv), ("readinto", _by_readinto), ("mmap", _by_mmap)):
            show(name, best(partial(_read_all, read, names, ring), len(names)))


if __name__ == "__main__":
    main(sys.argv[1] if sys.argv[1:] else None)
