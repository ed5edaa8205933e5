"""The watcher process: reports the files that are ready, only as many as the supervisor has room for."""

from __future__ import annotations

import logging
import os
import select
import time
from collections.abc import Callable, Iterator
from typing import Literal, NamedTuple

from dfud.core.names import UNDECIDED, UploadFilter
from dfud.core.run_markers import MarkerFilter, RunMarkers
from dfud.core.text import printable
from dfud.files.lease_break import lease_break_s
from dfud.files.links import LinkPolicy
from dfud.files.scan import SettledFiles, WatchedTree
from dfud.messages import (
    Allowance,
    CanaryFound,
    DirectoryGone,
    FileFound,
    FileLeft,
    FilesUnrecorded,
    FolderMovedIn,
    FromWatcher,
    LogsDisturbed,
    LogsReplaced,
    Notice,
    Reconsider,
    Stop,
    Sweep,
    SweepDone,
    ToWatcher,
    WatchReport,
    WatchStarted,
)
from dfud.processes.bounded_pattern import BoundedPattern
from dfud.processes.channel import Channel, PeerGoneError
from dfud.processes.dispatch import Dispatcher
from dfud.processes.worker import init_worker
from dfud.watch.before import FilesLeftBefore
from dfud.watch.events import EventSource
from dfud.watch.file_systems import FileSystems, is_local_kind, read_mountinfo
from dfud.watch.folder_watches import WatchLimitError
from dfud.watch.inquiry import Inquiry
from dfud.watch.inspector import Inspector
from dfud.watch.once import OnceSource
from dfud.watch.polling import PollingSource
from dfud.watch.readiness import Readiness
from dfud.watch.source import Source
from dfud.watch.together import together
from dfud.watch.top import TopWatch

_MAX_BATCH_FILES = 256
_MAX_STEP_S = 0.05  # after this long, events and the supervisor's messages come first again


class WatchOptions(NamedTuple):
    """What is to be watched, and how."""

    directory: bytes  # an absolute path free of links
    named: bytes  # the absolute path that the user gave
    upload_regex: str | None
    take_all: bool  # report the files that are there already, too
    since_ns: int  # otherwise those that have changed since then (ns since 1970, by the file system's clock)
    missed: tuple[int, int]  # and those that changed in this time, which an earlier run missed at its end
    compare_since_ns: int  # what has changed since then may have new content at the same size and mtime
    has_recorded: bool  # there are files that earlier runs have recorded
    once: bool  # scan once, do not watch
    polling: bool
    lag_s: float  # for which a file must have been quiet
    follow_links: bool  # that lead out of the directory
    logs_path: bytes
    logs: tuple[int, int]  # device and inode of LOGS, in which nothing is to be uploaded
    canary: str = ""  # path of its file; "" for none
    moved_in: tuple[bytes, ...] = ()  # folders that are known to have been moved in since `since_ns`
    run_markers: tuple[str, ...] = ()  # patterns of files that are reported whatever `upload_regex` says


def run(
    name: str,
    supervisor_pid: int,
    to_supervisor: Channel[FromWatcher, ToWatcher],
    options: WatchOptions,
    settled: SettledFiles | None = None,
) -> None:
    """Run the watcher process until it is asked to exit."""
    init_worker(name, supervisor_pid)
    watcher = Watcher(to_supervisor, options, settled=settled)
    try:
        while watcher.run_once():
            pass
    except PeerGoneError:
        return


def make_filter(options: WatchOptions) -> UploadFilter | MarkerFilter:
    """Return which files are reported, by their paths."""
    path_filter = UploadFilter(options.upload_regex, _logs_below(options), BoundedPattern)
    if not options.run_markers:
        return path_filter
    return MarkerFilter(path_filter, RunMarkers(options.run_markers))


class Watcher:
    """Responsible for reporting every file that is ready, as soon as the supervisor has room for it."""

    def __init__(
        self,
        to_supervisor: Channel[FromWatcher, ToWatcher],
        options: WatchOptions,
        clock: Callable[[], float] = time.monotonic,
        settled: SettledFiles | None = None,
    ) -> None:
        """Open the directory and begin to watch it; OSError if it cannot be opened.

        The first scan passes over what is `settled`.
        """
        self._supervisor = to_supervisor
        self._options = options
        self._clock = clock
        path_filter = make_filter(options)
        self._pop_undecided = path_filter.pop_undecided
        self._tree = WatchedTree(
            options.directory,
            path_filter,
            options.since_ns,
            options.moved_in,
            options.missed,
            LinkPolicy(options.follow_links, options.logs),
            options.named,
        )
        self._allowance = 0  # files that may still be reported
        self._sweeps: list[int] = []  # numbers of those that are not answered yet
        self._is_stopping = False
        self._dispatch: Dispatcher[ToWatcher] = Dispatcher(
            ToWatcher,
            {
                Allowance: self._on_allowance,
                Sweep: self._on_sweep,
                Reconsider: self._on_reconsider,
                FilesUnrecorded: self._on_unrecorded,
                LogsReplaced: self._on_logs_replaced,
                Stop: self._on_stop,
            },
        )
        self._file_systems = FileSystems(options.directory, read_mountinfo())
        self._mounts = self._file_systems.below()
        self._is_remote = not is_local_kind(self._file_systems.kind)
        by_events = not (options.once or options.polling)
        self._top = TopWatch(options.directory, options.named, options.logs_path, by_events, clock)
        self._tree.check_top(trust_inode=not self._is_remote)  # no event reports what happened before
        self._has_reported_end = False  # of the directory
        self._inquiry = Inquiry(self._supervisor.send)
        self._inspector = Inspector(
            self._tree,
            Readiness(options.lag_s, lease_break_s()),
            self._file_systems.traits,
            self._inquiry if options.has_recorded else None,
            clock,
            asks_all=bool(options.run_markers),  # what belongs to a run is not known before it is ready
        )
        self._before = FilesLeftBefore(self._supervisor.send, path_filter.unmatched_warning)
        self._reported = WatchReport("none", 0, 0, 0)
        self._sources = self._make_sources(settled)
        self._watch_canary()
        self._supervisor.send([WatchStarted()])

    def _make_sources(self, settled: SettledFiles | None) -> list[Source]:
        options = self._options
        if options.once:
            return [OnceSource(self._tree, self._inspector, self._before, options.compare_since_ns, settled)]
        if options.polling:
            return [self._poll_everything()]
        try:
            events = EventSource(
                self._tree,
                self._inspector,
                self._before,
                options.take_all,
                options.compare_since_ns,
                self._clock,
                settled,
            )
        except WatchLimitError as error:
            return self._fall_back_to_polling(error)
        if self._is_remote:
            self._warn(
                f"{self._file_systems.kind or 'unknown'} file systems do not report all changes: polling, too"
            )
            return [events, self._poll(b"", options.take_all)]
        return [events, *(self._poll(path, options.take_all) for path in self._mounts if self._must_poll(path))]

    def _watch_canary(self) -> None:
        for source in self._sources:
            if self._options.canary and isinstance(source, (EventSource, PollingSource)):
                source.watch_canary(os.fsencode(self._options.canary))

    def _must_poll(self, path: bytes) -> bool:
        """Return whether the file system mounted at `path` does not report all changes; say so if it does not."""
        kind = self._mounts[path].kind
        if is_local_kind(kind):
            return False
        self._warn(f"{printable(path)}: {kind} file systems do not report all changes: polling, too")
        return True

    def _poll(self, top: bytes, take_all: bool) -> PollingSource:
        since = self._options.compare_since_ns
        return PollingSource(self._tree, self._inspector, None, take_all, top, since, self._clock)

    def _poll_everything(self) -> PollingSource:
        options = self._options
        since = options.compare_since_ns
        return PollingSource(self._tree, self._inspector, self._before, options.take_all, b"", since, self._clock)

    def _fall_back_to_polling(self, error: WatchLimitError) -> list[Source]:
        self._warn(f"{error}; polling until dfud is restarted")
        return [self._poll_everything()]

    def close(self) -> None:
        """Stop watching, and close the directory."""
        for source in self._sources:
            source.close()
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
            self._process_events(mounts_changed)
            self._supervisor.send([FolderMovedIn(path) for path in self._tree.pop_newly_moved_in()])
            if self._allowance:
                self._report_files()
        except WatchLimitError as error:
            self._send_notices()
            for source in self._sources:
                source.close()
            self._sources = self._fall_back_to_polling(error)
            self._watch_canary()
            if self._sweeps:
                self._start_sweep()
        self._send_notices()
        self._supervisor.send(
            [FileLeft(path, f"cannot be matched: --upload_regex {UNDECIDED}") for path in self._pop_undecided()]
        )
        self._check_directory(mounts_changed)
        self._report_state()
        self._answer_sweeps()
        return True

    def _wait(self) -> tuple[list[int], bool]:
        """Return the descriptors that are readable, and whether mounts have changed."""
        now = self._clock()
        timeouts = [source.timeout(now) for source in self._sources]
        timeouts.append(None if self._has_reported_end else self._top.timeout(now))
        if self._allowance:
            timeouts.append(self._inspector.timeout(now))
            if any(source.has_pending for source in self._sources):
                timeouts.append(0.0)
        timeout = min((timeout for timeout in timeouts if timeout is not None), default=None)
        descriptors = [self._supervisor.fileno(), *self._top.readable_fds]
        descriptors += [source.fileno() for source in self._sources if source.fileno() >= 0]
        readable, _, mounts = select.select(descriptors, [], self._top.exceptional_fds, timeout)
        return readable, bool(mounts)

    # -- the supervisor's messages

    def _on_allowance(self, message: Allowance) -> None:
        self._allowance += message.files

    def _on_sweep(self, message: Sweep) -> None:
        self._sweeps.append(message.number)
        self._start_sweep()

    def _on_reconsider(self, message: Reconsider) -> None:
        self._inspector.reconsider(message.path)

    def _start_sweep(self) -> None:
        expected = [path for source in self._sources for path in source.start_sweep()]
        if not self._options.once:
            self._inspector.start_end(takes_closed=True, expected=expected)

    def _on_unrecorded(self, message: FilesUnrecorded) -> None:
        self._inquiry.on_answer(message)

    def _on_logs_replaced(self, message: LogsReplaced) -> None:
        self._tree.links = LinkPolicy(self._options.follow_links, (message.device, message.inode))
        self._top.watch_logs()
        self._watch_canary()

    def _on_stop(self, _: Stop) -> None:
        self._is_stopping = True

    # -- reports

    def _report_files(self) -> None:
        batch: list[FileFound] = []
        step_end = self._clock() + _MAX_STEP_S
        try:
            for file in self._ready_files():
                if file is not None:
                    batch.append(file)
                    self._allowance -= 1
                if not self._allowance or len(batch) >= _MAX_BATCH_FILES or self._clock() > step_end:
                    break
        finally:
            self._supervisor.send(list(together(batch)))
            self._inquiry.flush()

    def _ready_files(self) -> Iterator[FileFound | None]:
        """Yield what the inspector has waited for, then what the sources find; None in between."""
        yield from self._inspector.ready_files()
        for source in self._sources:
            yield from source.ready_files()

    def _process_events(self, mounts_changed: bool = False) -> None:
        unmounted: set[bytes] = set()
        for source in self._sources:
            source.process_events()
            if isinstance(source, EventSource):
                unmounted |= source.pop_unmounted()
        if mounts_changed or unmounted:
            self._on_mounts_changed(unmounted)

    def _on_mounts_changed(self, unmounted: set[bytes]) -> None:
        """Scan the file systems that were mounted or unmounted below the directory; poll those that need it.

        Those that are known to be `unmounted` may look as if they were still there: another one that was mounted
        at the same place has the same numbers.
        """
        before = self._mounts
        self._file_systems.update(read_mountinfo())
        self._mounts = after = self._file_systems.below()
        changed = {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)}
        changed |= unmounted & before.keys()
        sources = []
        for source in self._sources:
            if isinstance(source, PollingSource) and source.top in changed:
                source.close()
            else:
                sources.append(source)
        self._sources = sources
        for path in sorted(changed):
            is_new = path in after
            for source in self._sources:
                if isinstance(source, EventSource):
                    source.scan_mount(path, take_all=is_new)
            if is_new and not self._is_remote and self._must_poll(path):
                self._sources.append(self._poll(path, take_all=True))

    def _check_directory(self, mounts_changed: bool) -> None:
        """Check the directory itself if there is a reason to; report once that it is gone."""
        if self._top.read_events(mounts_changed):
            self._tree.check_top(trust_inode=not self._is_remote)
        if self._tree.is_gone and not self._has_reported_end:
            self._has_reported_end = True
            directory = printable(self._options.named)
            self._supervisor.send([DirectoryGone(f"{directory} has been removed, renamed, unmounted or replaced")])
        if self._top.pop_logs_disturbed() and not self._tree.is_gone:
            self._supervisor.send([LogsDisturbed()])

    def _report_state(self) -> None:
        """Report how files are found, if that has changed."""
        rescans = overflows = 0
        polling: Literal["none", "part", "all"] = "none"
        for source in self._sources:
            if isinstance(source, (EventSource, PollingSource)) and source.pop_canary():
                self._supervisor.send([CanaryFound()])
            if isinstance(source, EventSource):
                rescans, overflows = source.pop_counts()
            elif isinstance(source, PollingSource) and polling != "all":
                polling = "part" if source.top else "all"
        report = WatchReport(polling, rescans, overflows, len(self._tree.unread))
        if report != self._reported:
            self._supervisor.send([report])
            self._reported = WatchReport(polling, 0, 0, report.unread_folders)

    def _answer_sweeps(self) -> None:
        """Answer the sweeps once everything has been reported, including what has happened meanwhile."""
        if not self._sweeps or not self._is_sweep_done:
            return
        self._process_events()
        if self._is_sweep_done:
            left = [FileLeft(path, reason) for path, reason in self._inspector.pop_left()]
            is_whole = not self._tree.unread
            self._supervisor.send([*left, *(SweepDone(number, is_whole) for number in self._sweeps)])
            self._sweeps.clear()

    @property
    def _is_sweep_done(self) -> bool:
        return self._inspector.is_settled and all(source.is_sweep_done for source in self._sources)

    def _send_notices(self) -> None:
        notices = [notice for source in self._sources for notice in source.pop_notices()]
        self._supervisor.send([Notice(level, text) for level, text in notices])

    def _warn(self, text: str) -> None:
        self._supervisor.send([Notice(logging.WARNING, text)])


def _logs_below(options: WatchOptions) -> bytes:
    """Return the path of LOGS relative to the directory, which leads nowhere if LOGS is not below it."""
    return os.path.relpath(options.logs_path, options.directory)
