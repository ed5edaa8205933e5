"""Reading one file: every byte once, hashed as it passes, the chunks to be sent straight into the ring.

`preadv` into the ring replaces mapping and copying: it is as fast or faster (`benchmarks/micro/reading.py`), and a
file that is cut off meanwhile gives a short read where a mapping would give a SIGBUS. What is hashed is what lies
in the ring, so that it is also what is sent, whatever happens to the file.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import xxhash

from dfud.core.chunking import Run, count_chunks, plan_reading
from dfud.core.ranges import RangeSet
from dfud.core.version import FileVersion
from dfud.files.openat import is_being_written, open_regular_file
from dfud.messages import FileStart, FileTask, RunReady
from dfud.uploading.ring import Ring

MAX_CHUNKS_PER_RUN = 4096  # keeps the digests of a run within a packet


class VersionChangedError(Exception):
    """The file is not, or is no longer, the version that was to be read."""

    def __init__(self, version: FileVersion, being_written: bool) -> None:
        super().__init__(version, being_written)
        self.version = version
        self.being_written = being_written


Reserve = Callable[[int], tuple[int, int]]  # waits for room of so many bytes in the ring; as `Ring.reserve`


class FileReader:
    """One task: open the file, and make its runs one `step` at a time."""

    sha512 = b""  # of the whole file, where that is told with its first run

    @classmethod
    def read_whole(cls, task: FileTask, ring: Ring, reserve: Reserve, folder: int) -> RunReady:
        """Read a file of one run, all of which is to be sent; raises what a `FileReader` does.

        It is a `FileReader` in one step, without what only longer files need: most of the cost of a small file.
        """
        token, version, chunk_size = task.token, task.version, task.chunk_size
        path, size, _ = version
        descriptor, found = open_regular_file(path, folder)
        try:
            _check_version(descriptor, found, version)
            start, end = reserve(size)
            try:
                with ring.view(start, size) as view:
                    _read(descriptor, view, 0, version)
                    _check_version(descriptor, os.fstat(descriptor), version)
                    digests = cls._digests(view, chunk_size)
                    whole = xxhash.xxh3_128_hexdigest(view)
                    file = FileStart(token, version, chunk_size, (), task.started, cls._sha512(view))
            except (OSError, VersionChangedError):
                ring.take_back()
                raise
        finally:
            os.close(descriptor)
        return RunReady(token, 1, count_chunks(size, chunk_size), start, size, end, digests, whole, file)

    def __init__(self, task: FileTask, ring: Ring, run_bytes: int, folder: int) -> None:
        """Open the file below the open directory `folder`.

        Raises OSError if that fails, and VersionChangedError if it is another version.
        """
        self.task = task
        self._is_announced = False  # the producer has been told of the file
        self._ring = ring
        self._folder = folder
        run_bytes = min(run_bytes, MAX_CHUNKS_PER_RUN * task.chunk_size)
        self._plan: Iterator[tuple[Run, bool]] = plan_reading(
            RangeSet(task.to_send), task.version.size, task.chunk_size, run_bytes
        )
        self._hash = xxhash.xxh3_128()
        self._scratch: memoryview | None = None
        self._scratch_bytes = max(run_bytes, task.chunk_size)
        self._descriptor, found = open_regular_file(task.version.path, folder)
        try:
            _check_version(self._descriptor, found, task.version)
            if task.version.size > run_bytes:
                os.posix_fadvise(self._descriptor, 0, 0, os.POSIX_FADV_SEQUENTIAL)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        os.close(self._descriptor)

    def step(self, reserve: Reserve) -> RunReady | None:
        """Read the next run; None where it only had to be hashed. The last of all has ``xxh3_128`` set.

        Raises OSError if the file cannot be read, and VersionChangedError if it changed; what was passed on before
        is then part of no whole version.
        """
        run, send = next(self._plan)
        if not send:
            self._read(self._scratch_view(run.length), run.offset)
            return self._ready(run, (0, 0), b"", 0) if self._is_last(run) else None
        room = reserve(run.length)
        try:
            with self._ring.view(room[0], run.length) as view:
                self._read(view, run.offset)
                digests = self._digests(view, self.task.chunk_size)
            return self._ready(run, room, digests, run.n_chunks)
        except (OSError, VersionChangedError):
            self._ring.take_back()
            raise

    @staticmethod
    def _digests(view: memoryview, chunk_size: int) -> bytes:
        """Return what the producer is told of the chunks of a run."""
        digest = xxhash.xxh3_64_hexdigest
        if len(view) <= chunk_size:
            return digest(view).encode()
        return "".join([digest(view[at : at + chunk_size]) for at in range(0, len(view), chunk_size)]).encode()

    @staticmethod
    def _sha512(view: memoryview) -> bytes:
        """Return what the producer is told of a whole file."""
        return b""

    def _ready(self, run: Run, room: tuple[int, int], digests: bytes, count: int) -> RunReady:
        whole = self._whole() if self._is_last(run) else ""
        length = run.length if count else 0
        start, end = room
        return RunReady(self.task.token, run.first, count, start, length, end, digests, whole, self._announce())

    def _announce(self) -> FileStart | None:
        """Return what the producer has to know of the file, the first time."""
        if self._is_announced or self.task.known_digest:
            return None
        self._is_announced = True
        task = self.task
        delivered = RangeSet(task.to_send).missing(count_chunks(task.version.size, task.chunk_size))
        return FileStart(task.token, task.version, task.chunk_size, delivered.ranges(), task.started, self.sha512)

    def _whole(self) -> str:
        """Return the xxh3_128 of the file, all of which was read; VersionChangedError if it has changed."""
        _check_version(self._descriptor, os.fstat(self._descriptor), self.task.version)
        return self._hash.hexdigest()

    def _is_last(self, run: Run) -> bool:
        return run.offset + run.length == self.task.version.size

    def _read(self, view: memoryview, offset: int) -> None:
        _read(self._descriptor, view, offset, self.task.version)
        self._hash.update(view)

    def _scratch_view(self, length: int) -> memoryview:
        if self._scratch is None:
            self._scratch = memoryview(bytearray(self._scratch_bytes))
        return self._scratch[:length]


def _read(descriptor: int, view: memoryview, offset: int, version: FileVersion) -> None:
    """Fill `view` with what is at `offset`; VersionChangedError if the file is shorter than that."""
    done = os.preadv(descriptor, [view], offset)
    while done < len(view):
        count = os.preadv(descriptor, [view[done:]], offset + done)
        if not count:
            raise lost_version(descriptor, version)
        done += count


def _check_version(descriptor: int, found: os.stat_result, version: FileVersion) -> None:
    if found.st_size != version.size or found.st_mtime_ns != version.mtime_ns:
        raise lost_version(descriptor, version)


def lost_version(descriptor: int, version: FileVersion) -> VersionChangedError:
    """Return the error that tells what is there in the place of `version`."""
    found = os.fstat(descriptor)
    present = FileVersion(version.path, found.st_size, found.st_mtime_ns)
    return VersionChangedError(present, bool(is_being_written(descriptor)))
