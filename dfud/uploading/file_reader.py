"""Reading one file: every byte once, hashed as it passes, the chunks to be sent directly into the ring.

`preadv` into the ring takes the place of mapping and copying: it is at least as fast (see
`benchmarks/micro/reading.py`), and a file that is truncated meanwhile gives a short read instead of a SIGBUS. What
is hashed is what lies in the ring, and therefore what is sent, whatever happens to the file.

A file whose ctime changes while it is read may have been rewritten and had its size and mtime put back. Often it
was not: chmod(2), link(2) and rename(2) change the ctime, too. So it is read a second time, and is one consistent
version if all of its bytes are the same again.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import xxhash

from dfud.core.chunking import Run, count_chunks, plan_reading
from dfud.core.ranges import RangeSet
from dfud.core.version import FileStamp, FileVersion
from dfud.files.beneath import open_beneath
from dfud.files.links import LinkPolicy
from dfud.files.openat import DEFAULT_LINKS, READ, is_being_written, open_regular_file, regular_status
from dfud.messages import FileStart, FileTask, RunReady
from dfud.uploading.ring import Ring

MAX_CHUNKS_PER_RUN = 4096  # so that the digests of a run fit into a packet


class VersionChangedError(Exception):
    """The file is not, or is no longer, the version that was to be read."""

    def __init__(self, version: FileVersion, stamp: FileStamp, being_written: bool) -> None:
        """`version` is what is there now; `being_written` is whether a process has it open for writing."""
        super().__init__(version, stamp, being_written)
        self.version = version
        self.stamp = stamp
        self.being_written = being_written


Reserve = Callable[[int], tuple[int, int]]  # as `Ring.reserve`, but waits until there is room


class FileReader:
    """Reads the file of one task, a run for each `step`."""

    sha512 = b""  # of the file, if it is announced with the first run

    @classmethod
    def read_whole(cls, task: FileTask, ring: Ring, reserve: Reserve, dir_fd: int) -> RunReady:
        """Read a file of one run, all of which is to be sent; it may be no link.

        It does in one call what a `FileReader` does, and looks at the file only after it has read it. If the file
        then has the stamp of its task, nothing has been written since; otherwise it is read a second time. Raises
        what a `FileReader` raises.
        """
        token, version, chunk_size = task.token, task.version, task.chunk_size
        path, size, _ = version
        descriptor = open_beneath(dir_fd, path, READ)
        try:
            start, end = reserve(size)
            try:
                view = ring.view(start, size)
                _read(descriptor, view, 0, version)
                status = regular_status(descriptor, dir_fd, path)
                _check_version(descriptor, status, version)
                if (status.st_ctime_ns, status.st_ino) != task.stamp:
                    _check_bytes(descriptor, view, version)
                _check_writers(descriptor, status, task, closed_next=True)
            except (OSError, VersionChangedError):
                ring.unreserve()
                raise
        finally:
            os.close(descriptor)
        digests = cls._chunk_digests(view, chunk_size)
        file_digest = xxhash.xxh3_128_hexdigest(view)
        file = FileStart(token, version, chunk_size, (), task.started, cls._sha512(view))
        return RunReady(token, 1, count_chunks(size, chunk_size), start, size, end, digests, file_digest, file)

    def __init__(
        self, task: FileTask, ring: Ring, run_bytes: int, dir_fd: int, links: LinkPolicy = DEFAULT_LINKS
    ) -> None:
        """Open the file below the open directory `dir_fd`; `run_bytes` is the most that a step reads.

        Raises OSError if the file cannot be opened, and VersionChangedError if it is another version.
        """
        self.task = task
        self._is_rest = task.to_send not in ((), ((1, count_chunks(task.version.size, task.chunk_size)),))
        self._is_announced = False  # the producer has been sent the `FileStart`
        self._ring = ring
        run_bytes = min(run_bytes, MAX_CHUNKS_PER_RUN * task.chunk_size)
        self._run_bytes = run_bytes
        self._plan = self._make_plan()
        self._expected = ""  # xxh3_128 that this reading must have: that of another reading of the whole file
        self._is_second = False  # all but the last run has been passed on, by a first reading
        self._hash = xxhash.xxh3_128()
        self._scratch: memoryview | None = None
        self._scratch_bytes = max(run_bytes, task.chunk_size)
        self._descriptor, self._status = open_regular_file(task.version.path, dir_fd, links)
        try:
            _check_version(self._descriptor, self._status, task.version)
            _check_writers(self._descriptor, self._status, task)
            if self._is_rest and self.stamp.differs_from(task.stamp):
                raise version_changed_error(self._descriptor, task.version)
            if task.version.size > run_bytes:
                os.posix_fadvise(self._descriptor, 0, 0, os.POSIX_FADV_SEQUENTIAL)
        except BaseException:
            self.close()
            raise

    @property
    def stamp(self) -> FileStamp:
        """The stamp of the file when it was opened."""
        return _stamp(self._status)

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)

    def step(self, reserve: Reserve) -> RunReady | None:
        """Read the next run; return None if it only had to be hashed. The last run has ``xxh3_128`` set.

        Raises OSError if the file cannot be read, and VersionChangedError if it has changed; the runs that were
        returned before then belong to no version of it.
        """
        run, send = next(self._plan)
        is_last = run.offset + run.length == self.task.version.size
        if not send or (self._is_second and not is_last):
            self._read(self._scratch_view(run.length), run.offset)
            if not is_last or self._must_read_again():
                return None
            return self._run_ready(run, (0, 0), b"", 0, self._file_digest())
        room = reserve(run.length)
        try:
            with self._ring.view(room[0], run.length) as view:
                self._read(view, run.offset)
                digests = self._chunk_digests(view, self.task.chunk_size)
            if not is_last or not self._must_read_again():
                file_digest = self._file_digest() if is_last else ""
                return self._run_ready(run, room, digests, run.n_chunks, file_digest)
        except (OSError, VersionChangedError):
            self._ring.unreserve()
            raise
        self._ring.unreserve()
        return None

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

    def _make_plan(self) -> Iterator[tuple[Run, bool]]:
        task = self.task
        return plan_reading(RangeSet(task.to_send), task.version.size, task.chunk_size, self._run_bytes)

    def _run_ready(
        self, run: Run, room: tuple[int, int], digests: bytes, n_chunks: int, file_digest: str
    ) -> RunReady:
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

    def _must_read_again(self) -> bool:
        """Begin the second reading if it is needed, now that all is read, and return whether it is.

        Raises VersionChangedError if the file has changed.
        """
        task = self.task
        if not was_touched(self._descriptor, self._status, task.version):
            return False
        if self._is_rest:
            raise version_changed_error(self._descriptor, task.version)  # nobody can tell what was sent before
        if self._expected:
            return False
        self._expected = self._hash.hexdigest()
        self._is_second = True
        self._hash = xxhash.xxh3_128()
        self._plan = self._make_plan()
        return True

    def _file_digest(self) -> str:
        """Return the xxh3_128 of the file, all of which was read; VersionChangedError if two readings differ."""
        digest = self._hash.hexdigest()
        if self._expected and digest != self._expected:
            raise version_changed_error(self._descriptor, self.task.version)
        return digest

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


def _check_writers(descriptor: int, status: os.stat_result, task: FileTask, closed_next: bool = False) -> None:
    """Raise VersionChangedError if nobody has asked yet who writes to a file, and somebody may do."""
    if not task.is_asked and is_being_written(descriptor, closed_next) is not False:
        raise VersionChangedError(task.version, _stamp(status), being_written=True)


def was_touched(descriptor: int, opened: os.stat_result, version: FileVersion) -> bool:
    """Return whether its ctime has changed since the file was `opened`; VersionChangedError if more has."""
    status = os.fstat(descriptor)
    _check_version(descriptor, status, version)
    return status.st_ctime_ns != opened.st_ctime_ns


def _check_bytes(descriptor: int, view: memoryview, version: FileVersion) -> None:
    """Raise VersionChangedError unless the file still has the bytes in `view`, and no others."""
    again = memoryview(bytearray(len(view)))
    _read(descriptor, again, 0, version)
    _check_version(descriptor, os.fstat(descriptor), version)
    if again != view:
        raise version_changed_error(descriptor, version)


def _stamp(status: os.stat_result) -> FileStamp:
    return FileStamp(status.st_ctime_ns, status.st_ino)


def version_changed_error(descriptor: int, version: FileVersion) -> VersionChangedError:
    """Return the error that says what the open file is now instead of `version`."""
    status = os.fstat(descriptor)
    present = FileVersion(version.path, status.st_size, status.st_mtime_ns)
    return VersionChangedError(present, _stamp(status), bool(is_being_written(descriptor)))
