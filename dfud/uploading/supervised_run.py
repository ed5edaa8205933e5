"""From an accepted topic and a locked LOGS to the end of the run: what is read, started and supervised."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

from dfud.announcing.start import Announcements
from dfud.core.run_markers import RunMarkers
from dfud.files.links import LinkPolicy
from dfud.logs.keeper import LogsKeeper
from dfud.logs.layout import LogsFolder
from dfud.logs.lock import DirectoryLock
from dfud.logs.times import MICROSECONDS, ForwardClock, IsoClock
from dfud.messages import FileFound
from dfud.processes.event_loop import RunContext
from dfud.processes.worker import tune_gc
from dfud.processes.workers import WorkerPool
from dfud.uploading.beginning import EarlyRun, begin_with_import
from dfud.uploading.chunk_limit import ChunkLimit
from dfud.uploading.context import UploadContext
from dfud.uploading.fleet import Fleet
from dfud.uploading.guard_maker import guard_maker
from dfud.uploading.lanes import Lane, LaneSettings, WatcherProcess, start_watcher
from dfud.uploading.ledger import Ledger
from dfud.uploading.options import UploadOptions
from dfud.uploading.outlets import EarlyOutlet, Outlet
from dfud.uploading.preflight import (
    memory_shares,
)
from dfud.uploading.producer import ProducerSettings
from dfud.uploading.recovery import (
    distrust,
    go_on_from,
    merge_completed,
    read_in_progress,
    write_first_table,
)
from dfud.uploading.releases_maker import releases_maker
from dfud.uploading.resume import present_version, resume_rows, take_markers
from dfud.uploading.runs_maker import runs_maker
from dfud.uploading.session import record
from dfud.uploading.side_jobs import SideJobMakers
from dfud.uploading.status_writer import StatusWriter
from dfud.uploading.supervisor import UploadSupervisor
from dfud.uploading.topic_identity import is_another_topic, log_lost_files, record_topic, without_progress
from dfud.watch.watcher import WatchOptions


class Reports(NamedTuple):
    """What is told how the run is doing."""

    log: logging.Logger
    status: StatusWriter
    outlets: Sequence[EarlyOutlet]
    announcements: Announcements


def activity(folder: LogsFolder) -> str:
    """Say what another instance is doing that is refused."""
    return f"uploading {folder.directory} to topic {folder.topic}"


def supervise(
    options: UploadOptions,
    producer: ProducerSettings,
    chunk_limit: ChunkLimit,
    folder: LogsFolder,
    lock: DirectoryLock,
    user: RunContext,
    reports: Reports,
    early: EarlyRun | None = None,
    ends_at: float | None = None,
) -> int:
    """Read what is in LOGS, start the workers and supervise them; return the exit status.

    `early` is what has begun while no broker answered; at `ends_at` (s, monotonic) no more files are begun.
    """
    log = reports.log
    reports.status.write_starting()
    beginning = begin_with_import(options, folder, lock, producer.wire.is_openmsistream, log, early)
    session, watch = beginning
    shards = folder.shards()  # before the producers of this run add theirs
    in_progress = read_in_progress(folder, log)
    topic_id = producer.topic_id
    is_anew = is_another_topic(folder, topic_id, log)
    if is_anew:
        in_progress = in_progress._replace(rows=without_progress(in_progress.rows))
    largest_chunk = max(options.chunk_size, chunk_limit.largest_sendable(in_progress.rows))
    if largest_chunk > options.chunk_size:
        producer = producer._replace(properties=chunk_limit.with_room(producer.properties, largest_chunk))
    tune_gc()
    pool = WorkerPool(lock) if early is None else early.pool
    for outlet in reports.outlets:
        outlet.use(pool)
    try:
        watcher = None if early is None else early.take_watcher(watch)
        is_early = watcher is not None
        dir_fd = os.open(folder.directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        links = LinkPolicy(options.follow_links, folder.identity)
        ring_bytes = max(memory_shares(options).ring, 2 * largest_chunk)
        clock = ForwardClock()
        first_shard = folder.next_sequence()
        recorded = merge_completed(folder, shards, in_progress.unproven, log)
        go_on_from(recorded.latest, clock, log)
        row_time = IsoClock(clock.now_ns, MICROSECONDS)
        distrust(recorded.versions, in_progress.rows, row_time)
        ledger = Ledger(options.chunk_size, options.n_threads, recorded.versions, IsoClock(), row_time)
        present = partial(present_version, dir_fd, links)
        rows, markers = in_progress.rows, list[FileFound]()
        if options.run_marker:
            rows, markers = take_markers(rows, RunMarkers(options.run_marker).matches, ledger, present)
            for marker in markers:
                record(log, partial(session.add_moved_in, marker.version.path))
        resume_rows(rows, ledger, present, chunk_limit, log)
        write_first_table(folder, ledger, in_progress.rejected, log)
        if is_anew:
            log_lost_files(folder, len(recorded.versions), log)
        record_topic(folder, topic_id, log)
        # The watcher gets a copy of the ledger, of which it passes over what is settled.
        start = partial(_start_watcher, ledger)
        watcher = watcher or start(pool, watch)
        settings = LaneSettings(folder, dir_fd, links, ring_bytes, producer._replace(clock=clock))
        lanes = [Lane(number, first_shard, pool, settings) for number in range(options.n_threads)]
        keeper = LogsKeeper(folder, lock, activity(folder), lambda: session.content)
        context = UploadContext(
            options.once,
            folder,
            session,
            watch.since_ns,
            ledger,
            recorded.versions,
            log,
            keeper,
            topic_id,
            ends_at,
            options.canary,
        )
        fleet = Fleet(pool, folder, watch, watcher, lanes, start)
        if early is None:  # while it waited for a broker, it has said so
            user.show_hint(options.log.stream_level)
        outlets: list[Outlet] = [*reports.outlets, *reports.announcements.outlets(pool)]
        makers = SideJobMakers(
            runs_maker(options, producer.properties, watch, ledger, pool, log),
            releases_maker(options, pool, log),
            guard_maker(options.guard, ledger, pool, links, log),
        )
        supervisor = UploadSupervisor(
            context,
            fleet,
            user,
            status=reports.status,
            outlets=outlets,
            makers=makers,
        )
        user.show_live(options.log, supervisor.activity)
        if markers:
            supervisor.hold(markers)
        if early is not None and is_early:
            supervisor.on_early(early.messages)
        return supervisor.run()
    finally:
        pool.shut_down()  # in case of an exception: they would outlive this process


def _start_watcher(ledger: Ledger, pool: WorkerPool, watch: WatchOptions) -> WatcherProcess:
    return start_watcher(pool, watch, ledger.settled(watch.compare_since_ns))
