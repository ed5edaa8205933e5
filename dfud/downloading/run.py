"""One run of the download: checks the topic, opens and locks LOGS, and starts the processes."""

from __future__ import annotations

import os
from typing import NamedTuple

from dfud.core.names import LOGS
from dfud.downloading.consumer_group import KnownGroups, choose_group
from dfud.downloading.incomplete_table import IncompleteTable
from dfud.downloading.parts_folder import PartsFolder
from dfud.downloading.settings import FetchSettings
from dfud.downloading.supervisor import DownloadSupervisor
from dfud.errors import UsageError
from dfud.files.open_folder import OpenFolder
from dfud.kafka.config import ClientConfig
from dfud.kafka.properties import consumer_properties, group_id
from dfud.kafka.watermarks import query_partitions
from dfud.logs.layout import MAX_TOPIC_CHARS
from dfud.logs.lock import DirectoryLock
from dfud.logs.logfile import FileInLogs, open_log
from dfud.processes.child import run_in_child
from dfud.processes.console import CommandInput, ConsoleOutput
from dfud.processes.event_loop import RunContext
from dfud.processes.signals import SignalPipe
from dfud.processes.worker import tune_gc
from dfud.processes.workers import WorkerPool

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
    logger_stream_level: int
    logger_file_level: int
    logger_file_path: str | None


def download(options: DownloadOptions, config: ClientConfig) -> int:
    """Download until asked to end; return the exit status. Raises DfudError."""
    topic = options.topic
    if len(topic) > MAX_TOPIC_CHARS:
        raise UsageError(
            f"--topic_name is longer than {MAX_TOPIC_CHARS} characters: its files in LOGS would not fit"
        )
    group = group_id(config, options.consumer_group_id)
    properties = consumer_properties(config, group or "dfud")
    signals = SignalPipe()
    partitions = run_in_child(signals, query_partitions, topic, properties, config.path, group is not None)
    directory = os.path.realpath(options.directory)
    logs = _make_logs(directory)
    # One lock for all topics: two downloads could compete for a path.
    lock = DirectoryLock.take(logs, logs.file(".download.lock"), f"downloading to {directory}")
    output = ConsoleOutput()
    log = open_log(
        output.write_line,
        options.logger_stream_level,
        options.logger_file_path,
        FileInLogs(logs, logs.file(LOG_FILE)),
        options.logger_file_level,
    )
    try:
        parts_name = f"download_from_{topic}"
        folder = PartsFolder(_open_parts_folder(logs, parts_name))
        is_explicit = options.consumer_group_id is not None
        try:
            folder.remove_leftovers()
            folder.reassign(options.n_threads)
            known = KnownGroups(folder.dir_fd)
            properties["group.id"] = choose_group(known, group, is_explicit, partitions.values(), log)
        except OSError as error:
            path = os.path.join(logs.file(parts_name), error.filename or "")
            raise UsageError(f"cannot use {path}: {error.strerror}") from None
        settings = FetchSettings(
            directory,
            parts_name,
            topic,
            properties,
            options.n_threads,
            {number: each.end for number, each in partitions.items()} if options.once else None,
            options.download_regex,
        )
        log.info(f"downloading topic {topic} to {directory}")
        table = IncompleteTable(logs, topic)
        context = RunContext(signals, output, CommandInput(), options.update_seconds)
        tune_gc()
        return DownloadSupervisor(table, settings, folder, WorkerPool(lock), context, log).run()
    finally:
        output.drain(_OUTPUT_TIMEOUT_S)
        output.close()


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
