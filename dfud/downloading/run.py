"""One run of the download: checks the topic, opens and locks LOGS, and starts the processes."""

from __future__ import annotations

import logging
import os
from functools import partial
from typing import NamedTuple

import xxhash

from dfud.core.names import LOGS
from dfud.core.text import printable
from dfud.downloading.consumer_group import GroupRecord, KnownGroups, new_group
from dfud.downloading.group_assignment import member_properties
from dfud.downloading.incomplete_table import IncompleteTable
from dfud.downloading.parts_folder import PartsFolder
from dfud.downloading.receipt_options import ReceiptOptions, ask_receipts, make_outlet
from dfud.downloading.run_options import make_run_outlet, prepare_runs
from dfud.downloading.runs.settings import RunSettings
from dfud.downloading.settings import FetchSettings
from dfud.downloading.shortfalls import Shortfalls
from dfud.downloading.start import ask_start
from dfud.downloading.supervisor import DownloadSupervisor
from dfud.errors import UsageError
from dfud.files.open_folder import OpenFolder
from dfud.files.openat import open_folder
from dfud.kafka.config import ClientConfig
from dfud.kafka.properties import consumer_properties, group_id
from dfud.logs.layout import MAX_TOPIC_CHARS
from dfud.logs.lock import DirectoryLock
from dfud.logs.log_files import FileInLogs
from dfud.logs.logfile import LogOptions, open_log, reopen_log
from dfud.processes.broker_wait import Patience, ask_broker, network_patience
from dfud.processes.console import CommandInput, ConsoleOutput
from dfud.processes.event_loop import RunContext
from dfud.processes.signals import SignalPipe
from dfud.processes.worker import tune_gc
from dfud.processes.workers import WorkerPool
from dfud.receipts.settings import ReceiptSettings

LOG_FILE = "DataFileDownloadDirectory.log"
_OUTPUT_TIMEOUT_S = 2.0  # for a slow console at the end


class DownloadOptions(NamedTuple):
    """What the user asked for, checked as far as that does not depend on the system."""

    directory: str
    topic: str
    n_threads: int
    download_regex: str
    consumer_group_id: str | None
    update_seconds: float
    once: bool
    log: LogOptions
    receipts: ReceiptOptions | None = None
    runs: RunSettings | None = None


def download(options: DownloadOptions, config: ClientConfig) -> int:
    """Download until asked to end; return the exit status. Raises DfudError."""
    topic = options.topic
    if len(topic) > MAX_TOPIC_CHARS:
        raise UsageError(
            f"--topic_name is longer than {MAX_TOPIC_CHARS} characters: its files in LOGS would not fit"
        )
    directory = os.path.realpath(options.directory)
    requested = group_id(config, options.consumer_group_id)
    is_own = options.consumer_group_id is None or requested is None
    parts_name = f"download_from_{topic}" + (
        "" if is_own else f"~{xxhash.xxh3_64_hexdigest(os.fsencode(str(requested)))}"
    )
    known = _known_groups(OpenFolder(directory, os.fsdecode(LOGS)), parts_name)
    record = known and (known.own(requested) if is_own else known.find(str(requested)))
    group = record.group if record else new_group(requested) if is_own else str(requested)
    properties = consumer_properties(config, group)
    if not is_own:
        properties = member_properties(properties)
    signals = SignalPipe()
    patience = network_patience(properties) if options.once else Patience()
    question = ask_start, topic, properties, config.path, record is None, not is_own
    start = ask_broker(signals, 1, patience, *question)
    receipts: ReceiptSettings | None = None
    receipt_warnings: tuple[str, ...] = ()
    if options.receipts is not None:
        receipts, receipt_warnings = ask_receipts(options.receipts, directory, topic, signals, patience)
    logs = _make_logs(directory)
    # One lock for all topics: two downloads could compete for a path.
    lock = DirectoryLock.take(logs, logs.file(".download.lock"), f"downloading to {directory}")
    output = ConsoleOutput()
    default = FileInLogs(logs, logs.file(LOG_FILE))
    log = open_log(output, options.log, default, options.directory, {"topic": topic, "pid": os.getpid()})
    signals.on_hangup = partial(reopen_log, log)
    for warning in dict.fromkeys((*config.warnings, *receipt_warnings)):
        log.warning(warning)
    try:
        folder = PartsFolder(_open_parts_folder(logs, parts_name), keeps_placed=receipts is not None)
        try:
            folder.remove_leftovers()
            folder.reassign(options.n_threads)
            groups = KnownGroups(folder.dir_fd, logs.file(parts_name))
            groups.add(GroupRecord(group, is_own, start.topic_id))
            has_staged = prepare_runs(folder.dir_fd, options.runs)
        except OSError as error:
            path = os.path.join(logs.file(parts_name), error.filename or "")
            raise UsageError(f"cannot use {path}: {error.strerror}") from None
        if record is None:
            _explain_group(group, groups.copied_from, log)
        if has_staged:
            raise UsageError(
                f"{logs.file(parts_name)} holds files of runs that are not whole; go on with --runs, or download "
                "to another directory"
            )
        settings = FetchSettings(
            directory,
            parts_name,
            topic,
            properties,
            options.n_threads,
            start.ends if options.once else None,
            options.download_regex,
            start.topic_id,
            not is_own,
            receipts,
            options.runs,
            log.level,
        )
        log.info(f"downloading topic {topic} to {directory}")
        if not is_own:
            log.info(f"consumer group {group} shares the topic: each file arrives at one of its downloads")
        shortfalls = Shortfalls(topic, record.topic_id if record else start.topic_id, log)
        if shortfalls.topic_id and start.topic_id:
            shortfalls.add_replaced(start.topic_id)
        table = IncompleteTable(logs, topic)
        context = RunContext(signals, output, CommandInput(), options.update_seconds)
        context.show_hint(options.log.stream_level)
        tune_gc()
        workers = WorkerPool(lock)
        supervisor = DownloadSupervisor(
            table,
            settings,
            folder,
            workers,
            context,
            log,
            shortfalls,
            lambda topic_id: groups.add(GroupRecord(group, is_own, topic_id)),
            receipts=make_outlet(settings, logs, workers, log),
            runs=make_run_outlet(settings, folder.dir_fd, workers, log),
        )
        context.show_live(options.log, supervisor.activity)
        return supervisor.run()
    finally:
        output.drain(_OUTPUT_TIMEOUT_S)
        output.close()


def _known_groups(logs: OpenFolder, parts_name: str) -> KnownGroups | None:
    """Return the groups that have read into the directory; None if there is no record yet."""
    try:
        dir_fd = open_folder(logs.dir_fd, os.fsencode(parts_name), os.O_RDONLY)
    except OSError:  # if there is something else in its place, that is an error when the run begins
        return None
    try:
        return KnownGroups(dir_fd, logs.file(parts_name))
    except OSError as error:
        raise UsageError(f"cannot use {logs.file(parts_name)}/{error.filename}: {error.strerror}") from None
    finally:
        os.close(dir_fd)


def _explain_group(group: str, copied_from: str, log: logging.Logger) -> None:
    """Say what the user may not expect of a group that has not read into the directory before."""
    if copied_from:
        log.warning(
            f"this directory is a copy: LOGS belongs to {printable(os.fsencode(copied_from))}; "
            f"reading all of the topic, as consumer group {group}"
        )


def _make_logs(directory: str) -> OpenFolder:
    logs = OpenFolder(directory, os.fsdecode(LOGS))
    try:
        logs.make()
    except OSError as error:
        raise UsageError(f"cannot use {logs.path}: {error.strerror}; dfud must be able to write there") from None
    return logs


def _open_parts_folder(logs: OpenFolder, name: str) -> int:
    """Return the descriptor of the folder `name` in LOGS, which is created if necessary."""
    try:
        return logs.open_folder_in(name)
    except OSError as error:
        raise UsageError(
            f"cannot use {logs.file(name)}: {error.strerror}; dfud keeps incomplete files there"
        ) from None
