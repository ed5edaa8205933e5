"""The steps of an upload, in their order."""

from __future__ import annotations

import contextlib
import logging
import os
import time
from collections.abc import Sequence
from functools import partial

from dfud.announcing.start import Announcements
from dfud.errors import DfudError, UsageError
from dfud.files.links import LinkPolicy
from dfud.kafka.config import ClientConfig
from dfud.kafka.properties import lingers_by_load, message_timeout, producer_properties
from dfud.kafka.topic import look_at_topic
from dfud.logs.keeper import LogsKeeper
from dfud.logs.layout import LogsFolder
from dfud.logs.lock import DirectoryLock
from dfud.logs.log_files import FileInLogs
from dfud.logs.logfile import open_log, reopen_log
from dfud.logs.times import MICROSECONDS, ForwardClock, IsoClock
from dfud.logs.untouched import UntouchedLogs
from dfud.logs.upload_status import UploadStatus
from dfud.processes.child import ChildCall
from dfud.processes.console import CommandInput, ConsoleOutput
from dfud.processes.event_loop import RunContext
from dfud.processes.service_manager import take_service_manager
from dfud.processes.signals import SignalPipe
from dfud.processes.worker import tune_gc
from dfud.processes.workers import WorkerPool
from dfud.uploading.beginning import EarlyRun, begin_with_import
from dfud.uploading.chunk_limit import ChunkLimit
from dfud.uploading.client_statistics import statistics_interval
from dfud.uploading.context import UploadContext
from dfud.uploading.descriptors import allow_descriptors
from dfud.uploading.fleet import Fleet
from dfud.uploading.lanes import Lane, LaneSettings, start_watcher
from dfud.uploading.last_ack import LastAck
from dfud.uploading.ledger import Ledger
from dfud.uploading.metrics_outlets import metrics_outlets
from dfud.uploading.notifier import Notifier
from dfud.uploading.options import UploadOptions, log_fields
from dfud.uploading.outlets import EarlyOutlet, Outlet
from dfud.uploading.preflight import (
    check_logs_access,
    check_options,
    check_topic,
    make_logs,
    memory_shares,
    topic_needs,
)
from dfud.uploading.producer import ProducerSettings
from dfud.uploading.recovery import (
    distrust,
    go_on_from,
    merge_completed,
    read_in_progress,
    write_first_table,
)
from dfud.uploading.resume import present_version, resume_rows
from dfud.uploading.status_writer import StatusWriter
from dfud.uploading.supervisor import UploadSupervisor
from dfud.uploading.topic_identity import is_another_topic, log_lost_files, record_topic, without_progress
from dfud.uploading.waiting import AbsentBroker
from dfud.uploading.wire import OPENMSISTREAM, WIRE_FORMATS


def upload(options: UploadOptions, config: ClientConfig) -> int:
    """Upload until asked to end; return the exit status. Raises DfudError."""
    signals = SignalPipe()
    manager = take_service_manager(os.environ)
    ends_at = None if options.time_limit is None else time.monotonic() + options.time_limit
    check_options(options)
    allow_descriptors(options)
    properties = producer_properties(config, options.chunk_size, memory_shares(options).librdkafka)
    place = os.path.realpath(options.directory), os.path.realpath(options.state_dir) if options.state_dir else None
    metrics = metrics_outlets(options, LogsFolder(place[0], options.topic, place[1]))
    check_logs_access(LogsFolder(place[0], options.topic, place[1]))  # before a topic is created for nothing
    needs = topic_needs(options, properties)
    output = ConsoleOutput()
    try:
        with ChildCall(look_at_topic, options.topic, properties, config.path, needs, options.canary_topic) as call:
            early = None
            reason = call.wait(signals)
            absent = None
            if reason is not None:
                untouched = UntouchedLogs(LogsFolder(place[0], options.topic, place[1]))
                absent = AbsentBroker(call, reason, untouched, message_timeout(properties))
            folder = make_logs(place[0], options.topic, place[1])
            lock = DirectoryLock.take(folder, folder.lock, _activity(folder))
            no_log = logging.Logger("dfud", logging.CRITICAL + 1)
            status = StatusWriter(folder, options.once, no_log)
            others = metrics if manager is None else [Notifier(manager, no_log), *metrics]
            if absent is not None:
                user = RunContext(signals, output, CommandInput(), options.update_seconds)
                user.show_hint(options.log.stream_level)
                try:
                    early = absent.wait(options, folder, lock, user, status, others)
                except UsageError as error:
                    _end(others, status.header("ended", error.exit_status))
                    raise
                except DfudError as error:
                    _open_log(options, folder, output).error(str(error))
                    _end((status, *others), status.header("ended", error.exit_status))
                    return error.exit_status
        for leftover in folder.leftovers():
            with contextlib.suppress(OSError):  # a folder of that name, which someone else has made
                folder.unlink(leftover)
        log = _open_log(options, folder, output)
        signals.on_hangup = partial(reopen_log, log)
        announcements = Announcements(options.announcements, folder, log)
        if early is not None:
            log.warning("broker reachable")
        for warning in filter(None, (folder.weakness, *config.warnings)):
            log.warning(warning)
        check_topic(call.result, properties, config, log)
        wire = WIRE_FORMATS[config.wire]
        facts = call.result.facts
        producer = ProducerSettings(
            options.topic,
            properties,
            lingers_by_load(config),
            wire,
            LastAck(),
            facts.topic_id,
            facts,
            needs,
            canary_topic=options.canary_topic,
            statistics_s=statistics_interval(properties) if metrics else 0.0,
        )
        if metrics and not producer.statistics_s:
            log.info(f"statistics.interval.ms is 0 in {config.path}: there are no metrics of librdkafka")
        chunk_limit = ChunkLimit(options.topic, facts.largest_batch, config.properties)
        status.log = log
        for outlet in others:
            outlet.log = log
        return _run(
            options,
            producer,
            chunk_limit,
            folder,
            lock,
            signals,
            output,
            log,
            status,
            others,
            announcements,
            early,
            ends_at,
        )
    finally:
        output.drain(2.0)
        output.close()


def _open_log(options: UploadOptions, folder: LogsFolder, output: ConsoleOutput) -> logging.Logger:
    default = FileInLogs(folder, folder.log)
    return open_log(output, options.log, default, options.directory, log_fields(options.topic))


def _end(outlets: Sequence[Outlet], status: UploadStatus) -> None:
    """Tell `outlets` that the run ends before it has a supervisor."""
    for outlet in outlets:
        outlet.end(status)


def _activity(folder: LogsFolder) -> str:
    """Say what another instance is doing that is refused."""
    return f"uploading {folder.directory} to topic {folder.topic}"


def _run(
    options: UploadOptions,
    producer: ProducerSettings,
    chunk_limit: ChunkLimit,
    folder: LogsFolder,
    lock: DirectoryLock,
    signals: SignalPipe,
    output: ConsoleOutput,
    log: logging.Logger,
    status: StatusWriter,
    others: Sequence[EarlyOutlet],
    announcements: Announcements,
    early: EarlyRun | None = None,
    ends_at: float | None = None,
) -> int:
    """Read what is in LOGS, start the workers and supervise them."""
    status.write_starting()
    beginning = begin_with_import(options, folder, lock, producer.wire is OPENMSISTREAM, log, early)
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
    for outlet in others:
        outlet.use(pool)
    try:
        # The workers come first, so that they start while the tables are merged.
        watcher = None if early is None else early.take_watcher(watch)
        is_early = watcher is not None
        if watcher is None:
            watcher = start_watcher(pool, watch)
        dir_fd = os.open(folder.directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        links = LinkPolicy(options.follow_links, folder.identity)
        ring_bytes = max(memory_shares(options).ring, 2 * largest_chunk)
        clock = ForwardClock()
        settings = LaneSettings(folder, dir_fd, links, ring_bytes, producer._replace(clock=clock))
        first_shard = folder.next_sequence()
        lanes = [Lane(number, first_shard, pool, settings) for number in range(options.n_threads)]
        recorded = merge_completed(folder, shards, in_progress.unproven, log)
        go_on_from(recorded.latest, clock, log)
        row_time = IsoClock(clock.now_ns, MICROSECONDS)
        distrust(recorded.versions, in_progress.rows, row_time)
        ledger = Ledger(options.chunk_size, options.n_threads, recorded.versions, IsoClock(), row_time)
        resume_rows(in_progress.rows, ledger, partial(present_version, dir_fd, links), chunk_limit, log)
        write_first_table(folder, ledger, in_progress.rejected, log)
        if is_anew:
            log_lost_files(folder, len(recorded.versions), log)
        record_topic(folder, topic_id, log)
        keeper = LogsKeeper(folder, lock, _activity(folder), lambda: session.content)
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
        fleet = Fleet(pool, folder, watch, watcher, lanes)
        user = RunContext(signals, output, CommandInput(), options.update_seconds)
        if early is None:  # while it waited for a broker, it has said so
            user.show_hint(options.log.stream_level)
        outlets: list[Outlet] = [*others, *announcements.outlets(pool)]
        supervisor = UploadSupervisor(context, fleet, user, status=status, outlets=outlets)
        user.show_live(options.log, supervisor.activity)
        if early is not None and is_early:
            supervisor.on_early(early.messages)
        return supervisor.run()
    finally:
        pool.shut_down()  # in case of an exception: they would outlive this process
