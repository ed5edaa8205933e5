"""The steps of an upload, in their order."""

from __future__ import annotations

import contextlib
import logging
import os
from functools import partial

from dfud.files.links import LinkPolicy
from dfud.kafka.config import ClientConfig
from dfud.kafka.properties import lingers_by_load
from dfud.logs.keeper import LogsKeeper
from dfud.logs.layout import LogsFolder
from dfud.logs.lock import DirectoryLock
from dfud.logs.logfile import FileInLogs, open_log
from dfud.logs.session import Session
from dfud.logs.times import IsoClock
from dfud.processes.console import CommandInput, ConsoleOutput
from dfud.processes.event_loop import RunContext
from dfud.processes.signals import SignalPipe
from dfud.processes.worker import tune_gc
from dfud.processes.workers import WorkerPool
from dfud.uploading.context import UploadContext
from dfud.uploading.fleet import Fleet
from dfud.uploading.lanes import Lane, LaneSettings, start_watcher
from dfud.uploading.ledger import Ledger
from dfud.uploading.options import UploadOptions
from dfud.uploading.preflight import check_options, check_topic, make_logs, memory_shares
from dfud.uploading.producer import ProducerSettings
from dfud.uploading.recovery import (
    import_openmsistream_tables,
    merge_completed,
    read_in_progress,
    write_first_table,
)
from dfud.uploading.resume import present_version, resume_rows
from dfud.uploading.session import begin_session, newest_table_ns
from dfud.uploading.supervisor import UploadSupervisor
from dfud.uploading.wire import OPENMSISTREAM, WIRE_FORMATS
from dfud.watch.file_systems import FileSystems, read_mountinfo
from dfud.watch.watcher import WatchOptions


def upload(options: UploadOptions, config: ClientConfig) -> int:
    """Upload until asked to end; return the exit status. Raises DfudError."""
    signals = SignalPipe()
    check_options(options)
    properties = check_topic(options, config, signals)
    wire = WIRE_FORMATS[config.wire]
    producer = ProducerSettings(options.topic, properties, lingers_by_load(config), wire)
    state_dir = os.path.realpath(options.state_dir) if options.state_dir else None
    folder = make_logs(os.path.realpath(options.directory), options.topic, state_dir)
    lock = DirectoryLock.take(folder, folder.lock, _activity(folder))
    for leftover in folder.leftovers():
        with contextlib.suppress(OSError):  # a folder of that name, which someone else has made
            folder.unlink(leftover)
    output = ConsoleOutput()
    log = open_log(
        output.write_line,
        options.logger_stream_level,
        options.logger_file_path,
        FileInLogs(folder, folder.log),
        options.logger_file_level,
    )
    if folder.weakness:
        log.warning(folder.weakness)
    try:
        return _run(options, producer, folder, lock, signals, output, log)
    finally:
        output.drain(2.0)
        output.close()


def _activity(folder: LogsFolder) -> str:
    """Say what another instance is doing that is refused."""
    return f"uploading {folder.directory} to topic {folder.topic}"


def _run(
    options: UploadOptions,
    producer: ProducerSettings,
    folder: LogsFolder,
    lock: DirectoryLock,
    signals: SignalPipe,
    output: ConsoleOutput,
    log: logging.Logger,
) -> int:
    """Read what is in LOGS, start the workers and supervise them."""
    session = Session(lock.fileno())
    newest_table = newest_table_ns(folder)
    import_openmsistream_tables(folder, options.chunk_size, producer.wire is OPENMSISTREAM, session, log)
    kind = FileSystems(os.fsencode(folder.directory), read_mountinfo()).kind
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
        moved_in=session.moved_in,
    )
    shards = folder.shards()  # before the producers of this run add theirs
    in_progress = read_in_progress(folder, log)
    largest_chunk = max([options.chunk_size, *(row.chunk_size for row in in_progress.rows)])
    tune_gc()
    pool = WorkerPool(lock)
    try:
        # The workers come first, so that they start while the tables are merged.
        watcher = start_watcher(pool, watch)
        dir_fd = os.open(folder.directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        links = LinkPolicy(options.follow_links, folder.identity)
        ring_bytes = max(memory_shares(options).ring, 2 * largest_chunk)
        settings = LaneSettings(folder, dir_fd, links, ring_bytes, producer)
        first_shard = folder.next_sequence()
        lanes = [Lane(number, first_shard, pool, settings) for number in range(options.n_threads)]
        index = merge_completed(folder, shards, log)
        ledger = Ledger(options.chunk_size, options.n_threads, index.digest, IsoClock())
        resume_rows(in_progress.rows, ledger, partial(present_version, dir_fd, links), log)
        write_first_table(folder, ledger, in_progress.rejected, log)
        keeper = LogsKeeper(folder, lock, _activity(folder), lambda: session.content)
        context = UploadContext(options.once, folder, session, scope.since_ns, ledger, index, log, keeper)
        fleet = Fleet(pool, folder, watch, watcher, lanes)
        user = RunContext(signals, output, CommandInput(), options.update_seconds)
        return UploadSupervisor(context, fleet, user).run()
    finally:
        pool.kill_all()  # in case of an exception: they would outlive this process
