"""One run of the upload, put together: the topic looked at, LOGS opened and read, the processes started."""

from __future__ import annotations

import logging
import mmap
import os
from collections.abc import Iterable
from typing import NamedTuple

from dfud.core.tables import InProgressRow, version_of
from dfud.core.text import printable
from dfud.core.version import FileVersion
from dfud.errors import UsageError
from dfud.files.openat import stat_at
from dfud.kafka.config import ClientConfig
from dfud.kafka.properties import fit_to_topic, lingers_by_load, message_bytes_needed, producer_properties
from dfud.kafka.topic import check_topic_access
from dfud.logs.completed.consolidation import consolidate
from dfud.logs.in_progress_table import read_in_progress_table, write_in_progress_table
from dfud.logs.layout import MAX_TOPIC_CHARS, LogsFolder
from dfud.logs.lock import DirectoryLock
from dfud.logs.logfile import open_log
from dfud.logs.session import EVERYTHING, Session
from dfud.logs.table_files import RejectedRow, save_rejected_rows
from dfud.logs.takeover import import_openmsistream, read_openmsistream
from dfud.logs.times import IsoClock
from dfud.processes.child import run_in_child
from dfud.processes.console import CommandInput, ConsoleOutput
from dfud.processes.event_loop import RunContext
from dfud.processes.signals import SignalPipe
from dfud.processes.worker import tune_gc
from dfud.processes.workers import WorkerPool
from dfud.uploading.lanes import Lane, LaneSettings, start_watcher
from dfud.uploading.ledger import Ledger
from dfud.uploading.memory import MEGABYTE, Shares, divide
from dfud.uploading.producer import ProducerSettings
from dfud.uploading.supervisor import UploadSupervisor
from dfud.uploading.wire import OPENMSISTREAM, WIRE_FORMATS, WireFormat
from dfud.watch.watcher import WatchOptions


class UploadOptions(NamedTuple):
    """What the user asked for, checked as far as that needs no look at the system."""

    directory: str
    topic: str
    upload_existing: bool
    n_threads: int
    upload_regex: str
    chunk_size: int  # bytes
    queue_max_size: float  # megabytes
    update_seconds: float
    once: bool
    use_polling_observer: bool
    logger_stream_level: int
    logger_file_level: int
    logger_file_path: str | None


def upload(options: UploadOptions, config: ClientConfig) -> int:
    """Upload until told to end; return the exit status. Raises DfudError."""
    directory = os.path.realpath(options.directory)
    signals = SignalPipe()
    properties = _prepare_topic(options, config, signals)
    folder = _make_logs(directory, options.topic)
    lock = DirectoryLock.take(folder.lock, f"uploading {directory} to topic {options.topic}")
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
        wire = WIRE_FORMATS[config.wire]
        producer = ProducerSettings(options.topic, properties, lingers_by_load(config), wire)
        return _run(options, directory, producer, folder, lock, signals, output, log)
    finally:
        output.drain(2.0)
        output.close()


def _prepare_topic(
    options: UploadOptions, config: ClientConfig, signals: SignalPipe
) -> dict[str, str | int | bool]:
    if len(options.topic) > MAX_TOPIC_CHARS:
        raise UsageError(
            f"--topic_name is longer than {MAX_TOPIC_CHARS} characters: its tables would have no room for it"
        )
    shares = _shares(options)
    if shares.ring < 2 * options.chunk_size:
        raise UsageError(
            f"--queue_max_size {options.queue_max_size:g} has no room for two chunks of --chunk_size "
            f"{options.chunk_size} in each of --n_threads {options.n_threads}; raise it"
        )
    _check_memory(options)
    properties = producer_properties(config, options.chunk_size, shares.librdkafka)
    limits = run_in_child(signals, check_topic_access, options.topic, properties, config.path)
    if limits.max_message_bytes is not None:
        needed = message_bytes_needed(options.chunk_size)
        if limits.max_message_bytes < needed:
            raise UsageError(
                f"topic {options.topic} takes messages of at most max.message.bytes = "
                f"{limits.max_message_bytes}, too small for --chunk_size {options.chunk_size}; "
                f"set the topic's max.message.bytes to {needed} or more"
            )
        fit_to_topic(properties, config.properties, limits.max_message_bytes)
    return properties


def _shares(options: UploadOptions) -> Shares:
    return divide(int(options.queue_max_size * MEGABYTE), options.n_threads, options.chunk_size)


def _check_memory(options: UploadOptions) -> None:
    """Have the kernel refuse now what it would refuse later; what is not touched takes no memory."""
    try:
        mmap.mmap(-1, int(options.queue_max_size * MEGABYTE)).close()
    except (OSError, OverflowError, ValueError):
        raise UsageError(
            f"--queue_max_size {options.queue_max_size:g} is more memory (in MB) than can be had here; lower it"
        ) from None


def _make_logs(directory: str, topic: str) -> LogsFolder:
    folder = LogsFolder(directory, topic)
    try:
        os.makedirs(folder.path, exist_ok=True)
    except OSError as problem:
        raise UsageError(
            f"{folder.path} can't be made: {problem.strerror}; dfud must be able to write there"
        ) from None
    return folder


def _run(
    options: UploadOptions,
    directory: str,
    producer: ProducerSettings,
    folder: LogsFolder,
    lock: DirectoryLock,
    signals: SignalPipe,
    output: ConsoleOutput,
    log: logging.Logger,
) -> int:
    session = Session(lock.fileno())
    _import_openmsistream(folder, directory, options.chunk_size, producer.wire, session, log)
    take_all, since_ns = _begin_session(options, session, log)
    watch = WatchOptions(
        os.fsencode(directory),
        options.upload_regex,
        take_all,
        since_ns,
        options.once,
        options.use_polling_observer,
        session.moved_in,
    )
    shards = folder.shards()  # those of earlier runs
    rows, bad_rows = _read_rows(folder)
    tune_gc()
    workers = WorkerPool(lock)
    try:
        watcher = start_watcher(workers, watch)
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        largest_chunk = max([options.chunk_size, *(row.chunk_size for row in rows)])
        ring_bytes = max(_shares(options).ring, 2 * largest_chunk)
        settings = LaneSettings(folder, descriptor, ring_bytes, producer)
        first_shard = folder.next_sequence()
        lanes = [Lane(number, first_shard, workers, settings) for number in range(options.n_threads)]
        try:
            consolidated = consolidate(folder, shards)
        except OSError as problem:
            raise UsageError(f"the completed tables in {folder.path} can't be read: {problem}") from None
        if consolidated.error is not None:
            log.error(f"the completed table can't be written: {consolidated.error}; uploading goes on")
        _tell_bad_rows(bad_rows + consolidated.rejected, log)
        ledger = Ledger(options.chunk_size, options.n_threads, consolidated.completed.digest, IsoClock())
        _resume(rows, ledger, descriptor, log)
        _write_first_table(folder, ledger, bad_rows, log)
        surroundings = RunContext(signals, output, CommandInput(), options.update_seconds)
        supervisor = UploadSupervisor(
            options.once, watch, folder, session, workers, watcher, lanes, ledger, consolidated.completed,
            surroundings, log,
        )  # fmt: skip
        return supervisor.run()
    finally:
        workers.kill_all()  # whatever came in between: they would outlive us


def _import_openmsistream(
    folder: LogsFolder, directory: str, chunk_size: int, wire: WireFormat, session: Session, log: logging.Logger
) -> None:
    """Import the tables that OpenMSIStream left, if there are any."""
    try:
        found = read_openmsistream(folder, directory, chunk_size, keep_chunks=wire is OPENMSISTREAM)
        if found is None:
            return
        if found.since_ns is not None:
            earlier = session.unfinished_since()
            session.begin(found.since_ns if earlier is None else min(earlier, found.since_ns))
        import_openmsistream(folder, found)
    except OSError as problem:
        raise UsageError(f"cannot import OpenMSIStream's tables in {folder.path}: {problem}") from None
    log.info(found.summary())
    for warning in found.warnings:
        log.warning(warning)
    _tell_bad_rows(found.rejected, log)


def _begin_session(options: UploadOptions, session: Session, log: logging.Logger) -> tuple[bool, int]:
    """Return whether all that is there is to be taken, or else what has changed since when (ns)."""
    earlier = session.unfinished_since()
    take_all = options.upload_existing or options.once
    try:
        since_ns = session.now_ns()
        if earlier is not None:
            log.warning(
                "the last run did not end in an orderly way: what has come since it began is looked at, too"
            )
            if earlier > since_ns:
                log.warning("the clock has been set back since then: all that is there is looked at")
                earlier = EVERYTHING
            since_ns = min(since_ns, earlier)
        session.begin(EVERYTHING if take_all else since_ns)
    except OSError as problem:
        log.error(f"the lock file can't be written: {problem}; uploading goes on")
        since_ns = EVERYTHING if earlier is None else earlier
    return take_all or since_ns == EVERYTHING, since_ns


def _read_rows(folder: LogsFolder) -> tuple[list[InProgressRow], list[RejectedRow]]:
    try:
        return read_in_progress_table(folder)
    except OSError as problem:
        raise UsageError(f"{folder.in_progress} can't be read: {problem.strerror}") from None


def _tell_bad_rows(bad: Iterable[RejectedRow], log: logging.Logger) -> None:
    for path, row in bad:
        log.warning(f"row {row.number} of {path} can't be understood: {row.reason}; it is kept in {path}.bad")


def _resume(rows: list[InProgressRow], ledger: Ledger, directory: int, log: logging.Logger) -> None:
    for row in rows:
        version = version_of(row)
        name = printable(version.path)
        try:
            found = stat_at(directory, version.path)
        except OSError as problem:
            if ledger.is_recorded(version):
                log.info(f"{name} is uploaded, and can't be found any more")
            elif row.n_chunks_delivered:
                ledger.resume_lost(row, f"{problem.strerror}: {row.n_chunks_to_send} of its chunks can't be sent")
                log.error(f"{name} was uploaded in part and can't be found any more")
            else:
                log.warning(f"{name} was to be uploaded and can't be found any more: it is left out")
            continue
        present = FileVersion(version.path, found.st_size, found.st_mtime_ns)
        if present == version and ledger.is_recorded(version):
            # The crash came between the completed table and this one; or the file was rewritten and kept its time.
            ledger.on_found(version, by_event=True)
            log.info(f"{name} is uploaded: its content is compared with what was sent")
        elif present == version:
            ledger.resume(row, version)
            log.info(f"{name}: {row.n_chunks_to_send} of {row.n_chunks} chunks are still to be sent")
        else:
            ledger.on_found(present, by_event=False)
            log.warning(f"{name} has changed since it was uploaded in part: it is uploaded again as a whole")


def _write_first_table(folder: LogsFolder, ledger: Ledger, bad: list[RejectedRow], log: logging.Logger) -> None:
    """Keep aside what could not be understood before the table is replaced for the first time."""
    try:
        save_rejected_rows(bad)
        write_in_progress_table(folder, ledger.rows())
    except OSError as problem:
        log.error(f"the in-progress table can't be written: {problem}; uploading goes on")
