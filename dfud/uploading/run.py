"""The steps of an upload, in their order."""

from __future__ import annotations

import logging
import os
from functools import partial

from dfud.kafka.config import ClientConfig
from dfud.kafka.properties import lingers_by_load
from dfud.logs.layout import LogsFolder
from dfud.logs.lock import DirectoryLock
from dfud.logs.logfile import open_log
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
from dfud.uploading.recovery import import_from_openmsistream, merge_completed, read_in_progress, write_first_table
from dfud.uploading.resume import present_version, resume_rows
from dfud.uploading.session import begin_session
from dfud.uploading.supervisor import UploadSupervisor
from dfud.uploading.wire import OPENMSISTREAM, WIRE_FORMATS
from dfud.watch.watcher import WatchOptions


def upload(options: UploadOptions, config: ClientConfig) -> int:
    """Upload until asked to end; return the exit status. Raises DfudError."""
    signals = SignalPipe()
    check_options(options)
    properties = check_topic(options, config, signals)
    wire = WIRE_FORMATS[config.wire]
    producer = ProducerSettings(options.topic, properties, lingers_by_load(config), wire)
    folder = make_logs(os.path.realpath(options.directory), options.topic)
    lock = DirectoryLock.take(folder.lock, f"uploading {folder.directory} to topic {options.topic}")
    for leftover in folder.leftovers():
        os.unlink(leftover)
    output = ConsoleOutput()
    log = open_log(
        output.write_line,
        options.logger_stream_level,
        options.logger_file_path,
        folder.log,
        options.logger_file_level,
    )
    try:
        return _run(options, producer, folder, lock, signals, output, log)
    finally:
        output.drain(2.0)
        output.close()


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
    import_from_openmsistream(folder, options.chunk_size, producer.wire is OPENMSISTREAM, session, log)
    scope = begin_session(session, options.upload_existing or options.once, log)
    watch = WatchOptions(
        os.fsencode(folder.directory),
        options.upload_regex,
        scope.everything,
        scope.since_ns,
        options.once,
        options.use_polling_observer,
        session.moved_in,
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
        ring_bytes = max(memory_shares(options).ring, 2 * largest_chunk)
        settings = LaneSettings(folder, dir_fd, ring_bytes, producer)
        first_shard = folder.next_sequence()
        lanes = [Lane(number, first_shard, pool, settings) for number in range(options.n_threads)]
        index = merge_completed(folder, shards, log)
        ledger = Ledger(options.chunk_size, options.n_threads, index.digest, IsoClock())
        resume_rows(in_progress.rows, ledger, partial(present_version, dir_fd), log)
        write_first_table(folder, ledger, in_progress.rejected, log)
        context = UploadContext(options.once, folder, session, scope.since_ns, ledger, index, log)
        fleet = Fleet(pool, folder, watch, watcher, lanes)
        user = RunContext(signals, output, CommandInput(), options.update_seconds)
        return UploadSupervisor(context, fleet, user).run()
    finally:
        pool.kill_all()  # in case of an exception: they would outlive this process
