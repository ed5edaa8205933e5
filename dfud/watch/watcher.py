"""The watcher process: reports the files that are ready, as many at a time as there is room for."""

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
    FileFound,
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
from dfud.processes.worker import init_worker
from dfud.watch.events import EventSource, WatchLimitError
from dfud.watch.once import OnceSource
from dfud.watch.polling import PollingSource
from dfud.watch.remote import read_mountinfo, remote_file_system
from dfud.watch.source import Source
from dfud.watch.top import TopWatch

_BATCH_FILES = 256
_MAX_STEP_S = 0.05  # s between looks at the kernel's events and the supervisor


class WatchOptions(NamedTuple):
    """What is to be watched, and how."""

    directory: bytes
    upload_regex: str
    take_all: bool  # what is there already, too
    since_ns: int  # else what has changed since then (ns since 1970, by the file system's clock)
    once: bool  # one look, no watching
    polling: bool
    moved_in: tuple[bytes, ...] = ()  # folders that are known to have come since then


def run(name: str, supervisor: int, to_supervisor: Channel[FromWatcher, ToWatcher], options: WatchOptions) -> None:
    """Be the watcher process until told to leave."""
    init_worker(name, supervisor)
    watcher = Watcher(to_supervisor, options)
    try:
        while watcher.run_once():
            pass
    except PeerGoneError:
        return


class Watcher:
    """Responsible for reporting every file that is ready; it holds back what there is no room for."""

    def __init__(
        self,
        to_supervisor: Channel[FromWatcher, ToWatcher],
        options: WatchOptions,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._supervisor = to_supervisor
        self._options = options
        self._clock = clock
        accepts = name_filter(options.upload_regex)
        self._tree = WatchedTree(options.directory, accepts, options.since_ns, options.moved_in)
        self._allowance = 0
        self._sweeps: list[int] = []
        self._remote = remote_file_system(os.fsdecode(options.directory), read_mountinfo())
        self._top = TopWatch(options.directory, not (options.once or options.polling or self._remote), clock)
        self._tree.check_top(trust_inode=not self._remote)  # nobody has told of what happened before
        self._told_gone = False
        self._source = self._make_source()
        self._supervisor.send([WatchStarted()])

    def _make_source(self) -> Source:
        options = self._options
        if options.once:
            return OnceSource(self._tree)
        if options.polling:
            return PollingSource(self._tree, options.take_all, self._clock)
        if self._remote:
            self._note(logging.WARNING, f"a {self._remote} file system does not report all changes: it is polled")
            return PollingSource(self._tree, options.take_all, self._clock)
        try:
            return EventSource(self._tree, options.take_all)
        except WatchLimitError as problem:
            return self._poll_instead(problem)

    def _poll_instead(self, problem: WatchLimitError) -> Source:
        self._note(logging.WARNING, f"{problem}; the directory is polled until dfud is started again")
        return PollingSource(self._tree, self._options.take_all, self._clock)

    def close(self) -> None:
        self._source.close()
        self._top.close()
        self._tree.close()

    def run_once(self) -> bool:
        """Wait for something to do and do a bit of it; False when told to leave."""
        readable, mounts_changed = self._wait()
        if self._supervisor.fileno() in readable:
            for message in self._supervisor.receive(wait=False):
                if isinstance(message, Allowance):
                    self._allowance += message.files
                elif isinstance(message, Sweep):
                    self._sweeps.append(message.number)
                    self._source.sweep()
                elif isinstance(message, Stop):
                    return False
        try:
            self._source.take_in()
            self._supervisor.send([FolderMovedIn(path) for path in self._tree.pop_newly_moved_in()])
            if self._allowance:
                self._report()
        except WatchLimitError as problem:
            self._tell_notices()
            self._source.close()
            self._source = self._poll_instead(problem)
            if self._sweeps:
                self._source.sweep()
        self._tell_notices()
        self._look_at_top(mounts_changed)
        if self._sweeps and self._source.is_swept:
            self._source.take_in()
            if self._source.is_swept:
                is_whole = not self._tree.unread
                self._supervisor.send([SweepDone(number, is_whole) for number in self._sweeps])
                self._sweeps.clear()
        return True

    def _wait(self) -> tuple[list[int], bool]:
        """Return the descriptors that are readable, and whether mounts have changed."""
        now = self._clock()
        times = [self._source.due(now), None if self._told_gone else self._top.due(now)]
        timeout = min((time for time in times if time is not None), default=None)
        if self._source.has_more and self._allowance:
            timeout = 0
        descriptors = [self._supervisor.fileno(), *self._top.readable]
        if self._source.fileno() >= 0:
            descriptors.append(self._source.fileno())
        readable, _, mounts = select.select(descriptors, [], self._top.exceptional, timeout)
        return readable, bool(mounts)

    def _report(self) -> None:
        batch: list[FromWatcher] = []
        until = self._clock() + _MAX_STEP_S
        try:
            for ready in self._source.ready():
                if ready is not None:
                    batch.append(FileFound(ready.version, ready.by_event))
                    self._allowance -= 1
                if not self._allowance or len(batch) >= _BATCH_FILES or self._clock() > until:
                    break
        finally:
            self._supervisor.send(batch)

    def _look_at_top(self, mounts_changed: bool) -> None:
        """Tell once when the directory itself is gone."""
        if self._top.is_time(mounts_changed):
            self._tree.check_top(trust_inode=not self._remote)
        if self._tree.is_gone and not self._told_gone:
            self._told_gone = True
            where = printable(self._options.directory)
            self._supervisor.send([DirectoryGone(f"{where} has been removed, renamed or unmounted")])

    def _tell_notices(self) -> None:
        self._supervisor.send([Notice(level, text) for level, text in self._source.notices()])

    def _note(self, level: int, text: str) -> None:
        self._supervisor.send([Notice(level, text)])
