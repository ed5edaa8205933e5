"""Reading one file: every byte once, hashed as it passes, the chunks to be sent directly into the ring.

`preadv` into the ring takes the place of mapping and copying: it is at least as fast (see
`benchmarks/micro/reading.py`), and a file that is truncated meanwhile gives a short read instead of a SIGBUS. What
is hashed is what lies in the ring, and therefore what is sent, whatever happens to the file.
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

MAX_CHUNKS_PER_RUN = 4096  # so that the digests of a run fit into a packet


class VersionChangedError(Exception):
    """The file is not, or is no longer, the version that was to be read."""

    def __init__(self, version: FileVersion, being_written: bool) -> None:
        """`version` is what is there now; `being_written` is whether a process has it open for writing."""
        super().__init__(version, being_written)
        self.version = version
        self.being_written = being_written


Reserve = Callable[[int], tuple[int, int]]  # as `Ring.reserve`, but waits until there is room


class FileReader:
    """Reads the file of one task, a run for each `step`."""

    sha512 = b""  # of the file, if it is announced with the first run

    @classmethod
    def read_whole(cls, task: FileTask, ring: Ring, reserve: Reserve, dir_fd: int) -> RunReady:
        """Read a file of one run, all of which is to be sent; raise what a `FileReader` raises.

        It does in one call what a `FileReader` does, without what only larger files need, which would be most of
        the cost of a small file.
        """
        token, version, chunk_size = task.token, task.version, task.chunk_size
        path, size, _ = version
        descriptor, status = open_regular_file(path, dir_fd)
        try:
            _check_version(descriptor, status, version)
            start, end = reserve(size)
            try:
                with ring.view(start, size) as view:
                    _read(descriptor, view, 0, version)
                    _check_version(descriptor, os.fstat(descriptor), version)
                    digests = cls._chunk_digests(view, chunk_size)
                    file_digest = xxhash.xxh3_128_hexdigest(view)
                    file = FileStart(token, version, chunk_size, (), task.started, cls._sha512(view))
            except (OSError, VersionChangedError):
                ring.unreserve()
                raise
        finally:
            os.close(descriptor)
        return RunReady(token, 1, count_chunks(size, chunk_size), start, size, end, digests, file_digest, file)

    def __init__(self, task: FileTask, ring: Ring, run_bytes: int, dir_fd: int) -> None:
        """Open the file below the open directory `dir_fd`; `run_bytes` is the most that a step reads.

        Raises OSError if the file cannot be opened, and VersionChangedError if it is another version.
        """
        self.task = task
        self._is_announced = False  # the producer has been sent the `FileStart`
        self._ring = ring
        run_bytes = min(run_bytes, MAX_CHUNKS_PER_RUN * task.chunk_size)
        self._plan: Iterator[tuple[Run, bool]] = plan_reading(
            RangeSet(task.to_send), task.version.size, task.chunk_size, run_bytes
        )
        self._hash = xxhash.xxh3_128()
        self._scratch: memoryview | None = None
        self._scratch_bytes = max(run_bytes, task.chunk_size)
        self._descriptor, status = open_regular_file(task.version.path, dir_fd)
        try:
            _check_version(self._descriptor, status, task.version)
            if task.version.size > run_bytes:
                os.posix_fadvise(self._descriptor, 0, 0, os.POSIX_FADV_SEQUENTIAL)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)

    def step(self, reserve: Reserve) -> RunReady | None:
        """Read the next run; return None if it only had to be hashed. The last run has ``xxh3_128`` set.

        Raises OSError if the file cannot be read, and VersionChangedError if it has changed; the runs that were
        returned before then belong to no version of it.
        """
        run, send = next(self._plan)
        if not send:
            self._read(self._scratch_view(run.length), run.offset)
            return self._run_ready(run, (0, 0), b"", 0) if self._is_last(run) else None
        room = reserve(run.length)
        try:
            with self._ring.view(room[0], run.length) as view:
                self._read(view, run.offset)
                digests = self._chunk_digests(view, self.task.chunk_size)
            return self._run_ready(run, room, digests, run.n_chunks)
        except (OSError, VersionChangedError):
            self._ring.unreserve()
            raise

    @staticmethod
    def _chunk_digests(view: memoryview, chunk_size: int) -> bytes:
        """Return the digests of a run's chunks that the producer is sent: hex digits, joined."""
        digest = xxhash.xxh3_64_hexdigest
        if len(view) <= chunk_size:
            return digest(view).encode()
        return "".join([digest(view[at : at + chunk_size]) for at in range(0, len(view), chunk_size)]).encode()

    @staticmethod
    def _sha512(view: memoryview) -> bytes:
        """Return the SHA-512 of a file that the producer is sent; empty if it does not need it."""
        return b""

    def _run_ready(self, run: Run, room: tuple[int, int], digests: bytes, n_chunks: int) -> RunReady:
        file_digest = self._file_digest() if self._is_last(run) else ""
        length = run.length if n_chunks else 0
        start, end = room
        return RunReady(
            self.task.token, run.first, n_chunks, start, length, end, digests, file_digest, self._announce()
        )

    def _announce(self) -> FileStart | None:
        """Return what the producer needs to know about the file, the first time."""
        if self._is_announced or self.task.known_digest:
            return None
        self._is_announced = True
        task = self.task
        delivered = RangeSet(task.to_send).missing(count_chunks(task.version.size, task.chunk_size))
        return FileStart(task.token, task.version, task.chunk_size, delivered.ranges(), task.started, self.sha512)

    def _file_digest(self) -> str:
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
    """Fill `view` with the bytes at `offset`; VersionChangedError if the file ends before."""
    done = os.preadv(descriptor, [view], offset)
    while done < len(view):
        count = os.preadv(descriptor, [view[done:]], offset + done)
        if not count:
            raise version_changed_error(descriptor, version)
        done += count


def _check_version(descriptor: int, status: os.stat_result, version: FileVersion) -> None:
    if status.st_size != version.size or status.st_mtime_ns != version.mtime_ns:
        raise version_changed_error(descriptor, version)


def version_changed_error(descriptor: int, version: FileVersion) -> VersionChangedError:
    """Return the error that says what the open file is now instead of `version`."""
    status = os.fstat(descriptor)
    present = FileVersion(version.path, status.st_size, status.st_mtime_ns)
    return VersionChangedError(present, bool(is_being_written(descriptor)))
