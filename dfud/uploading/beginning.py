"""The first steps of a run in LOGS: its session begins, from which follows what the watcher has to find."""

from __future__ import annotations

import logging
import os
from typing import NamedTuple

from dfud.logs.layout import LogsFolder
from dfud.logs.lock import DirectoryLock
from dfud.logs.run_record import EVERYTHING
from dfud.logs.session import Session
from dfud.messages import FromWatcher
from dfud.processes.workers import WorkerPool
from dfud.uploading.lanes import WatcherProcess
from dfud.uploading.options import UploadOptions
from dfud.uploading.recovery import import_openmsistream_tables
from dfud.uploading.session import begin_session, newest_table_ns
from dfud.watch.file_systems import FileSystems, read_mountinfo
from dfud.watch.watcher import WatchOptions


class Beginning(NamedTuple):
    """A run that has begun."""

    session: Session
    watch: WatchOptions


class EarlyRun(NamedTuple):
    """A run that has begun before a broker answered."""

    beginning: Beginning
    pool: WorkerPool
    watcher: WatcherProcess | None  # it watches already; None if it would only scan
    messages: list[FromWatcher]  # that it has sent, and that nobody has handled

    def take_watcher(self, watch: WatchOptions) -> WatcherProcess | None:
        """Return the watcher if it watches as in `watch`; otherwise end it, and return None."""
        if self.watcher is None or watch == self.beginning.watch:
            return self.watcher
        self.watcher.process.kill()
        self.watcher.process.join()
        self.pool.close(self.watcher.channel)
        return None


def begin(options: UploadOptions, folder: LogsFolder, lock: DirectoryLock, log: logging.Logger) -> Beginning:
    """Record in LOGS that a run begins, but for what it imports: nothing else there is changed yet."""
    return _begin(options, folder, Session(lock.fileno()), log)


def begin_with_import(
    options: UploadOptions,
    folder: LogsFolder,
    lock: DirectoryLock,
    keep_chunks: bool,
    log: logging.Logger,
    early: EarlyRun | None,
) -> Beginning:
    """Import OpenMSIStream's tables (and their chunks, if `keep_chunks`), and begin, unless `early` has."""
    session = Session(lock.fileno()) if early is None else early.beginning.session
    newest_table = newest_table_ns(folder)
    since_ns = session.unfinished_since()
    import_openmsistream_tables(folder, options.chunk_size, keep_chunks, session, log)
    if early is None:
        return _begin(options, folder, session, log, newest_table)
    imported_ns = session.unfinished_since()
    watch = early.beginning.watch
    if imported_ns != since_ns and imported_ns is not None:
        watch = watch._replace(
            since_ns=min(watch.since_ns, imported_ns),
            take_all=watch.take_all or imported_ns == EVERYTHING,
            moved_in=session.moved_in,
        )
    return Beginning(session, watch)


def _begin(
    options: UploadOptions,
    folder: LogsFolder,
    session: Session,
    log: logging.Logger,
    newest_table: int | None = None,
) -> Beginning:
    kind = FileSystems(os.fsencode(folder.directory), read_mountinfo()).kind
    newest_table = newest_table_ns(folder) if newest_table is None else newest_table
    scope = begin_session(session, options.upload_existing or options.once, log, kind, newest_table)
    watch = WatchOptions(
        directory=os.fsencode(folder.directory),
        named=os.fsencode(os.path.abspath(options.directory)),
        upload_regex=options.upload_regex,
        take_all=scope.everything,
        since_ns=scope.since_ns,
        missed=scope.missed,
        compare_since_ns=scope.compare_since_ns,
        has_recorded=newest_table is not None,
        once=options.once,
        polling=options.use_polling_observer,
        lag_s=options.watchdog_lag_time,
        follow_links=options.follow_links,
        logs_path=os.fsencode(folder.path),
        logs=folder.identity,
        canary=folder.canary if options.canary is not None else "",
        moved_in=session.moved_in,
        run_markers=options.run_marker,
    )
    return Beginning(session, watch)
