"""The watcher process: reports the files that are ready, only as many as the supervisor has room for."""

from __future__ import annotations

import logging
import os
import select
import time
from collections.abc import Callable
from typing import NamedTuple

from dfud.core.names import name_filter
from dfud.core.text import printable
from dfud.files.scan import WatchedTree
from dfud.messages import (
    Allowance,
    DirectoryGone,
    FolderMovedIn,
    FromWatcher,
    Notice,
    Stop,
    Sweep,
    SweepDone,
    ToWatcher,
    WatchStarted,
)
from dfud.processes.channel import Channel, PeerGoneError
from dfud.processes.dispatch import Dispatcher
from dfud.processes.worker import init_worker
from dfud.watch.events import EventSource
from dfud.watch.folder_watches import WatchLimitError
from dfud.watch.once import OnceSource
from dfud.watch.polling import PollingSource
from dfud.watch.remote import read_mountinfo, remote_file_system
from dfud.watch.source import Source
from dfud.watch.top import TopWatch

_MAX_BATCH_FILES = 256
_MAX_STEP_S = 0.05  # after this long, events and the supervisor's messages come first again


class WatchOptions(NamedTuple):
    """What is to be watched, and how."""

    directory: bytes  # an absolute path free of links
    upload_regex: str
    take_all: bool  # report the files that are there already, too
    since_ns: int  # otherwise those that changed since then (ns since 1970, by the file system's clock)
    once: bool  # scan once, do not watch
    polling: bool
    moved_in: tuple[bytes, ...] = ()  # folders that are known to have been moved in since then


def run(
    name: str, supervisor_pid: int, to_supervisor: Channel[FromWatcher, ToWatcher], options: WatchOptions
) -> None:
    """Run the watcher process until it is asked to exit."""
    init_worker(name, supervisor_pid)
    watcher = Watcher(to_supervisor, options)
    try:
        while watcher.run_once():
            pass
    except PeerGoneError:
        return


class Watcher:
    """Responsible for reporting every file that is ready, as soon as the supervisor has room for it."""

    def __init__(
        self,
        to_supervisor: Channel[FromWatcher, ToWatcher],
        options: WatchOptions,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Open the directory and begin to watch it; OSError if it cannot be opened."""
        self._supervisor = to_supervisor
        self._options = options
        self._clock = clock
        accepts = name_filter(options.upload_regex)
        self._tree = WatchedTree(options.directory, accepts, options.since_ns, options.moved_in)
        self._allowance = 0  # files that may still be reported
        self._sweeps: list[int] = []  # numbers of those that are not answered yet
        self._is_stopping = False
        self._dispatch: Dispatcher[ToWatcher] = Dispatcher(
            ToWatcher, {Allowance: self._on_allowance, Sweep: self._on_sweep, Stop: self._on_stop}
        )
        self._remote = remote_file_system(os.fsdecode(options.directory), read_mountinfo())
        self._top = TopWatch(options.directory, not (options.once or options.polling or self._remote), clock)
        self._tree.check_top(trust_inode=not self._remote)  # no event reports what happened before
        self._has_reported_end = False  # of the directory
        self._source = self._make_source()
        self._supervisor.send([WatchStarted()])

    def _make_source(self) -> Source:
        options = self._options
        if options.once:
            return OnceSource(self._tree)
        if options.polling:
            return PollingSource(self._tree, options.take_all, self._clock)
        if self._remote:
            self._warn(f"{self._remote} file systems do not report all changes: polling")
            return PollingSource(self._tree, options.take_all, self._clock)
        try:
            return EventSource(self._tree, options.take_all)
        except WatchLimitError as error:
            return self._fall_back_to_polling(error)

    def _fall_back_to_polling(self, error: WatchLimitError) -> Source:
        self._warn(f"{error}; polling until dfud is restarted")
        return PollingSource(self._tree, self._options.take_all, self._clock)

    def close(self) -> None:
        """Stop watching, and close the directory."""
        self._source.close()
        self._top.close()
        self._tree.close()

    def run_once(self) -> bool:
        """Wait for something to do and do a part of it; return False when asked to exit."""
        readable, mounts_changed = self._wait()
        if self._supervisor.fileno() in readable:
            for message in self._supervisor.receive(wait=False):
                self._dispatch(message)
            if self._is_stopping:
                return False
        try:
            self._source.process_events()
            self._supervisor.send([FolderMovedIn(path) for path in self._tree.pop_newly_moved_in()])
            if self._allowance:
                self._report_files()
        except WatchLimitError as error:
            self._send_notices()
            self._source.close()
            self._source = self._fall_back_to_polling(error)
            if self._sweeps:
                self._source.start_sweep()
        self._send_notices()
        self._check_directory(mounts_changed)
        self._answer_sweeps()
        return True

    def _wait(self) -> tuple[list[int], bool]:
        """Return the descriptors that are readable, and whether mounts have changed."""
        now = self._clock()
        timeouts = [self._source.timeout(now), None if self._has_reported_end else self._top.timeout(now)]
        timeout = min((timeout for timeout in timeouts if timeout is not None), default=None)
        if self._source.has_pending and self._allowance:
            timeout = 0
        descriptors = [self._supervisor.fileno(), *self._top.readable_fds]
        if self._source.fileno() >= 0:
            descriptors.append(self._source.fileno())
        readable, _, mounts = select.select(descriptors, [], self._top.exceptional_fds, timeout)
        return readable, bool(mounts)

    # -- the supervisor's messages

    def _on_allowance(self, message: Allowance) -> None:
        self._allowance += message.files

    def _on_sweep(self, message: Sweep) -> None:
        self._sweeps.append(message.number)
        self._source.start_sweep()

    def _on_stop(self, _: Stop) -> None:
        self._is_stopping = True

    # -- reports

    def _report_files(self) -> None:
        batch: list[FromWatcher] = []
        step_end = self._clock() + _MAX_STEP_S
        try:
            for file in self._source.ready_files():
                if file is not None:
                    batch.append(file)
                    self._allowance -= 1
                if not self._allowance or len(batch) >= _MAX_BATCH_FILES or self._clock() > step_end:
                    break
        finally:
            self._supervisor.send(batch)

    def _check_directory(self, mounts_changed: bool) -> None:
        """Check the directory itself if there is a reason to; report once that it is gone."""
        if self._top.read_events(mounts_changed):
            self._tree.check_top(trust_inode=not self._remote)
        if self._tree.is_gone and not self._has_reported_end:
            self._has_reported_end = True
            directory = printable(self._options.directory)
            self._supervisor.send([DirectoryGone(f"{directory} has been removed, renamed or unmounted")])

    def _answer_sweeps(self) -> None:
        """Answer the sweeps once everything has been reported, including what has happened meanwhile."""
        if self._sweeps and self._source.is_sweep_done:
            self._source.process_events()
            if self._source.is_sweep_done:
                is_whole = not self._tree.unread
                self._supervisor.send([SweepDone(number, is_whole) for number in self._sweeps])
                self._sweeps.clear()

    def _send_notices(self) -> None:
        self._supervisor.send([Notice(level, text) for level, text in self._source.pop_notices()])

    def _warn(self, text: str) -> None:
        self._supervisor.send([Notice(logging.WARNING, text)])
