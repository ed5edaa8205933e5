"""One run of the download, put together: the topic looked at, LOGS opened and locked, the processes started."""

from __future__ import annotations

import logging
import os
import secrets
from typing import NamedTuple

from dfud.core.names import LOGS
from dfud.downloading.fetcher import FetchSettings
from dfud.downloading.parts import PartsFolder
from dfud.downloading.supervisor import DownloadSupervisor
from dfud.errors import UsageError
from dfud.files.confined import ConfinedTree
from dfud.kafka.config import ClientConfig
from dfud.kafka.consumer import consumer_properties, group_id
from dfud.kafka.watermarks import Partition, query_partitions
from dfud.logs.layout import MAX_TOPIC_CHARS
from dfud.logs.lock import DirectoryLock
from dfud.logs.logfile import open_log
from dfud.processes.child import run_in_child
from dfud.processes.console import CommandInput, Output
from dfud.processes.event_loop import RunContext
from dfud.processes.signals import Signals
from dfud.processes.worker import tune_gc
from dfud.processes.workers import Workers

LOG_FILE = "DataFileDownloadDirectory.log"


class DownloadOptions(NamedTuple):
    """What the user asked for, checked as far as that needs no look at the system."""

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
    """Download until told to end; return the exit status. Raises DfudError."""
    if len(options.topic) > MAX_TOPIC_CHARS:
        raise UsageError(
            f"--topic_name is longer than {MAX_TOPIC_CHARS} characters: its files in LOGS would not fit"
        )
    wanted = group_id(config, options.consumer_group_id)
    is_explicit = options.consumer_group_id is not None
    properties = consumer_properties(config, wanted or "dfud")
    signals = Signals()
    partitions = run_in_child(
        signals, query_partitions, options.topic, properties, config.path, wanted is not None
    )
    directory = os.path.realpath(options.directory)
    logs = _make_logs(directory)
    lock = _take_lock(logs, directory)
    output = Output()
    log = open_log(
        output.write_line,
        options.logger_stream_level,
        options.logger_file_path,
        os.path.join(logs, LOG_FILE),
        options.logger_file_level,
    )
    try:
        folder = PartsFolder(_open_parts(directory, options.topic))
        folder.tidy()
        folder.hand_over(options.n_threads)
        properties["group.id"] = _settle_group(folder, wanted, is_explicit, partitions, log)
        ends = {number: found.end for number, found in partitions.items()} if options.once else None
        settings = FetchSettings(
            directory,
            _parts_name(options.topic),
            options.topic,
            properties,
            options.n_threads,
            ends,
            options.download_regex,
        )
        log.info(f"downloading topic {options.topic} to {directory}")
        listing = os.path.join(logs, f"download_from_{options.topic}_incomplete.csv")
        surroundings = RunContext(signals, output, CommandInput(), options.update_seconds)
        tune_gc()
        return DownloadSupervisor(listing, settings, folder, Workers(lock), surroundings, log).run()
    finally:
        output.finish(2.0)
        output.close()


def _make_logs(directory: str) -> str:
    path = os.path.join(directory, os.fsdecode(LOGS))
    try:
        os.makedirs(path, exist_ok=True)
        if os.path.islink(path):
            raise UsageError(f"{path} is a link; dfud writes only into a LOGS that is a folder of the directory")
    except OSError as problem:
        raise UsageError(f"{path} can't be made: {problem.strerror}; dfud must be able to write there") from None
    return path


def _take_lock(logs: str, directory: str) -> DirectoryLock:
    """Take the lock of the directory for downloads, whatever the topic: two could compete for a file's place."""
    return DirectoryLock.take(os.path.join(logs, ".download.lock"), f"downloading to {directory}")


def _parts_name(topic: str) -> str:
    return f"download_from_{topic}"


def _open_parts(directory: str, topic: str) -> int:
    tree = ConfinedTree(directory)
    name = _parts_name(topic)
    try:
        logs = tree.open_folder(LOGS, logs=True)
        if name not in os.listdir(logs):
            os.mkdir(name, dir_fd=logs)
        return os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=logs)
    except OSError as problem:
        raise UsageError(
            f"{directory}/LOGS/{name} can't be used: {problem.strerror}; dfud keeps incomplete files there"
        ) from None
    finally:
        tree.close()


def _settle_group(
    folder: PartsFolder,
    wanted: str | None,
    is_explicit: bool,
    partitions: dict[int, Partition],
    log: logging.Logger,
) -> str:
    """Return the consumer group: the one asked for, or one of this directory's own, made at its first download.

    A configuration file may serve several directories. Where its group has read already, not into this one, what
    it has passed would not come: this directory gets a group of its own, called after it. A group that the command
    line names is taken as it is, and that is told.
    """
    names = folder.groups()
    if wanted in names:
        return str(wanted)
    passed = sum(max(0, found.committed - found.start) for found in partitions.values())
    if wanted is not None and (is_explicit or not passed):
        if passed:
            log.warning(
                f"consumer group {wanted} has read {passed} messages of the topic, not into this directory: "
                "they don't come again; give another --consumer_group_id to begin at the start"
            )
        folder.add_group(wanted)
        return wanted
    prefix = f"{wanted or 'dfud'}-"
    own = next((name for name in sorted(names) if name.startswith(prefix)), None)
    if own is None:
        own = f"{prefix}{secrets.token_hex(8)}"
        folder.add_group(own)
        if wanted is not None:
            log.info(f"consumer group {wanted} has read the topic, not into this directory, which reads as {own}")
    return own
