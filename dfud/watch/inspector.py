"""Looks at the files that the sources name, and reports those that are ready."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator

from dfud.core.version import FileVersion
from dfud.files.openat import is_being_written, open_regular_file
from dfud.files.scan import GONE, ScannedFile, WatchedTree
from dfud.messages import FileFound
from dfud.watch.file_systems import Traits
from dfud.watch.inquiry import Inquiry
from dfud.watch.leases import WriteLeases
from dfud.watch.readiness import Look, Readiness, Writers

_PLAIN = Traits(is_local=True, keeps_ctime=True)
_MAX_UNASKED = 1000  # files, until the kernel is asked again whether it answers
_WRITERS = {True: Writers.SOME, False: Writers.NONE, None: Writers.UNKNOWN}


class Inspector:
    """Responsible for looking at each file that may be ready, until it is reported or gone."""

    def __init__(
        self,
        tree: WatchedTree,
        readiness: Readiness,
        traits: Callable[[bytes, int], Traits],
        inquiry: Inquiry | None = None,
        clock: Callable[[], float] = time.monotonic,
        wall_ns: Callable[[], int] = time.time_ns,
        asks_all: bool = True,
    ) -> None:
        """`traits` returns those of the file system of a path on a device; `wall_ns` gives the ctimes' time.

        Without an `inquiry` no file is recorded. Unless it `asks_all`, whoever reads the files that scans find has
        to ask of most of them who writes to them: for that, a file has to be opened.
        """
        self._tree = tree
        self._readiness = readiness
        self._traits = traits
        self._inquiry = inquiry
        self._clock = clock
        self._wall_ns = wall_ns
        self._write_leases = WriteLeases(clock)
        self._may_break_leases = False  # at the end, when there is no later
        self._asks_all = asks_all
        # By device: how many more files need not be asked about, as the kernel has answered the last time.
        self._unasked: dict[int, int] = {}

    # -- what the sources name

    def on_created(self, path: bytes) -> None:
        """Note a file that a process has created and will probably close."""
        self._readiness.on_created(path, self._clock())

    def on_gone(self, path: bytes) -> None:
        """Forget a file that was moved away."""
        self._readiness.on_gone(path)

    def on_event(self, path: bytes, is_closed: bool = True) -> FileFound | None:
        """Return a file that was closed, or moved in and may be open still, if it is ready."""
        if not self._readiness.on_event(path, self._clock()):
            return None
        return self._judge(
            path, self._tree.find_file(path), compare=True, is_closed=is_closed, is_moved=not is_closed
        )

    def reconsider(self, path: bytes) -> None:
        """Look soon at a file that was reported without being asked about, and that somebody may write to."""
        self._readiness.look_again(path, self._clock())

    def on_scanned(self, file: ScannedFile, compare: bool) -> FileFound | None:
        """Return a file that a scan has found, if it is ready; `compare` if its content may be new."""
        if self._readiness.is_waiting(file.version.path):
            return None
        if self._inquiry is not None and not compare:
            self._inquiry.add(file)
            return None
        return self._judge(file.version.path, file, compare, scanned=True)

    # -- what waits

    @property
    def is_full(self) -> bool:
        """Whether no more files can wait: a scan has to pause."""
        return self._readiness.is_full or (self._inquiry is not None and self._inquiry.is_full)

    def pop_overflow(self) -> bool:
        """Return whether files were dropped since the last call, which only a scan can find."""
        overflowed, self._readiness.has_overflowed = self._readiness.has_overflowed, False
        return overflowed

    def timeout(self, now: float) -> float | None:
        """Return in how many seconds a file is to be looked at; None for never."""
        if self._inquiry is not None and self._inquiry.has_answers:
            return 0.0
        due = self._readiness.next_due()
        return None if due is None else max(0.0, due - now)

    def ready_files(self) -> Iterator[FileFound | None]:
        """Look at the files that are due, and yield those that are ready; None for the others."""
        while self._inquiry is not None and not self._readiness.is_full:
            file = self._inquiry.pop()
            if file is None:
                break
            # It was scanned some time ago: an event may have named it, or it may have changed.
            if not self._readiness.is_waiting(file.version.path):
                yield self._judge(file.version.path, file, scanned=True)
        while (path := self._readiness.pop_due(self._clock())) is not None:
            yield self._judge(path, self._tree.find_file(path))

    def start_end(self, takes_closed: bool, expected: Iterable[bytes] = ()) -> None:
        """Look at every file now: what is not ready soon is left; see `Readiness.start_end`."""
        self._may_break_leases = True
        self._readiness.start_end(self._clock(), takes_closed, expected)

    @property
    def is_settled(self) -> bool:
        """Whether, at the end, no file is waited for any more."""
        return self._readiness.is_settled and (self._inquiry is None or self._inquiry.is_done)

    def pop_left(self) -> list[tuple[bytes, str]]:
        """Return the files that are left at the end, each with its reason, since the last call."""
        return self._readiness.pop_left()

    # -- looks

    def _judge(
        self,
        path: bytes,
        file: ScannedFile | None,
        compare: bool = False,
        scanned: bool = False,
        is_closed: bool = False,
        is_moved: bool = False,
    ) -> FileFound | None:
        look, keeps_ctime = None, True
        if file is not None:
            if scanned and not self._asks_all and self._is_for_the_reader(path, file):
                return FileFound(file.version, compare, file.ctime_ns, file.inode, is_asked=False)
            asked = self._ask(path, file, is_closed, is_moved)
            if asked is not None:
                writers, version, ctime_ns, inode, device = asked
                is_local, keeps_ctime = self._traits(path, device)
                # Most files are ready at the first look, which has to be cheap.
                if writers is Writers.NONE and is_local and self._readiness.take_at_once(path, self._clock):
                    return FileFound(version, compare, ctime_ns, inode, keeps_ctime)
                if writers is Writers.NONE and not is_local:
                    writers = Writers.UNKNOWN
                at_rest_s = max(0.0, (self._wall_ns() - ctime_ns) / 1e9) if is_local and keeps_ctime else 0.0
                look = Look(version, ctime_ns, inode, writers, at_rest_s)
        is_ready, compare = self._readiness.judge(path, look, self._clock(), compare, scanned)
        if not is_ready or look is None:
            return None
        return FileFound(look.version, compare, look.ctime_ns, look.inode, keeps_ctime)

    def _is_for_the_reader(self, path: bytes, file: ScannedFile) -> bool:
        """Return whether to leave it to the one who reads a scanned file to ask who writes to it.

        That is so where only this kernel writes, and has answered of another file lately.
        """
        left = self._unasked.get(file.device, 0)
        if not left or self._traits(path, file.device) != _PLAIN or not self._readiness.needs_no_time(path):
            return False
        if not self._may_break_leases and self._write_leases.has(file.device, file.inode):
            return False
        self._unasked[file.device] = left - 1
        return True

    def _ask(
        self, path: bytes, file: ScannedFile, is_closed: bool, is_moved: bool
    ) -> tuple[Writers, FileVersion, int, int, int] | None:
        """Ask who writes to a file; return that, its version, ctime, inode and device, or None if it is gone."""
        version, ctime_ns, inode, device = file
        if not (is_closed or self._may_break_leases) and self._write_leases.has(device, inode, is_moved):
            return Writers.SOME, version, ctime_ns, inode, device
        try:
            descriptor, status = open_regular_file(path, self._tree.dir_fd, self._tree.links)
        except BlockingIOError:
            return Writers.LEASED, version, ctime_ns, inode, device
        except OSError as error:
            # If it is there, the chunker will not be able to read it either, and report why.
            return None if error.errno in GONE else (Writers.NONE, version, ctime_ns, inode, device)
        # A writer that opens the file in these microseconds has to wait, or is refused if it will not wait. So a
        # file is not asked about again and again: not before it has been quiet, if it is closed repeatedly.
        writers = _WRITERS[is_being_written(descriptor, closed_next=True)]
        self._unasked[status.st_dev] = _MAX_UNASKED if writers is not Writers.UNKNOWN else 0
        os.close(descriptor)
        if status.st_size != version.size or status.st_mtime_ns != version.mtime_ns:
            version = FileVersion(path, status.st_size, status.st_mtime_ns)
        return writers, version, status.st_ctime_ns, status.st_ino, status.st_dev
