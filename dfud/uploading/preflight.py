"""Checks before anything is written: whether memory, topic and LOGS allow what the user asked for."""

from __future__ import annotations

import errno
import logging
import mmap
import os
from collections.abc import Iterator, Mapping
from typing import Any

from dfud.core.user_headers import header_bytes
from dfud.errors import UsageError
from dfud.kafka.config import ClientConfig
from dfud.kafka.properties import fit_to_topic
from dfud.kafka.topic import UploadTopic
from dfud.kafka.topic_facts import Severity
from dfud.kafka.topic_rules import UploadNeeds
from dfud.logs.layout import MAX_TOPIC_CHARS, LogsFolder
from dfud.logs.owner import check_owner, record_owner
from dfud.logs.spelling import check_spelling, record_spelling
from dfud.logs.tables_elsewhere import elsewhere_fault
from dfud.uploading.memory import MEGABYTE, Shares, divide
from dfud.uploading.options import UploadOptions


def memory_shares(options: UploadOptions) -> Shares:
    """Return what each lane may use of --queue_max_size."""
    return divide(int(options.queue_max_size * MEGABYTE), options.n_threads, options.chunk_size)


def check_directory(directory: str) -> None:
    """Raise UsageError if the directory is none, or cannot be read by this user."""
    if not os.path.isdir(directory):
        what = "is not a directory" if os.path.exists(directory) else "does not exist"
        raise UsageError(f"{directory} {what}; give the directory to be uploaded")
    if not os.access(directory, os.R_OK | os.X_OK):
        raise UsageError(f"cannot read {directory}; dfud needs permission to list and open its files")


def check_options(options: UploadOptions) -> None:
    """Raise UsageError if valid options do not suit each other, this machine or what OpenMSIStream left."""
    for fault in option_faults(options):
        raise UsageError(fault)


def check_sealing(options: UploadOptions, config: ClientConfig) -> None:
    """Raise UsageError if `sealing_fault` has one."""
    fault = sealing_fault(options, config)
    if fault:
        raise UsageError(fault)


def sealing_fault(options: UploadOptions, config: ClientConfig) -> str:
    """Return what is wrong if runs are to be sealed on a topic with OpenMSIStream's messages; "" otherwise."""
    if not options.run_marker or config.wire == "native":
        return ""
    return (
        "--run_marker needs dfud's own messages, as a manifest names files by their digests and upload ids; "
        f"remove value.serializer and key.serializer from {config.path}, or leave --run_marker out"
    )


def option_faults(options: UploadOptions) -> Iterator[str]:
    """Yield what is wrong with options that are valid each on its own; nothing is written."""
    if len(options.topic) > MAX_TOPIC_CHARS:
        yield f"--topic_name is longer than {MAX_TOPIC_CHARS} characters: its tables would have no room for it"
    yield from _canary_faults(options)
    if not options.run_marker and (options.run_metadata is not None or options.run_sha256):
        name = "--run_sha256" if options.run_metadata is None else "--run_metadata"
        yield f"{name} is for the runs of --run_marker: give both, or leave it out"
    if memory_shares(options).ring < 2 * options.chunk_size:
        yield (
            f"--queue_max_size {options.queue_max_size:g} has no room for two chunks of --chunk_size "
            f"{options.chunk_size} in each of --n_threads {options.n_threads}; raise it"
        )
    try:
        # The kernel refuses now what it would refuse later; pages that are not touched use no memory.
        mmap.mmap(-1, int(options.queue_max_size * MEGABYTE)).close()
    except (OSError, OverflowError, ValueError):
        yield f"--queue_max_size {options.queue_max_size:g} (MB) is more memory than is available here; lower it"
    if options.log.file_path:
        state_dir = os.path.realpath(options.state_dir) if options.state_dir else None
        folder = LogsFolder(os.path.realpath(options.directory), options.topic, state_dir)
        fault = elsewhere_fault(folder, options.log.file_path)
        if fault:
            yield fault


def _canary_faults(options: UploadOptions) -> Iterator[str]:
    if options.canary is None and options.canary_topic_name is not None:
        yield "--canary_topic_name is the topic of --canary: give both, or leave it out"
    if options.canary_topic == options.topic:
        yield f"--canary_topic_name {options.topic} is the topic of the files; give another one"
    if options.canary is not None and options.once:
        yield "--canary is for an upload that goes on, not for --once; leave one of them out"


def topic_needs(options: UploadOptions, properties: Mapping[str, Any]) -> UploadNeeds:
    """Return what the upload wants of its topic."""
    acks = str(properties.get("acks", properties.get("request.required.acks")))
    return UploadNeeds(options.chunk_size, acks in ("all", "-1"), header_bytes(options.headers))


def check_topic(
    topic: UploadTopic, properties: dict[str, str | int | bool], config: ClientConfig, log: logging.Logger
) -> None:
    """Log what was found about the topic, and fit librdkafka's `properties` to it."""
    for finding in topic.findings:
        log.log(logging.WARNING if finding.severity is Severity.WARNING else logging.DEBUG, finding.text)
    if topic.facts.largest_batch is not None:
        fit_to_topic(properties, config.properties, topic.facts.largest_batch)


def make_logs(folder: LogsFolder) -> None:
    """Open LOGS, and create it unless it exists.

    Raises UsageError if that is not possible, or if the tables in it are another directory's or another topic's.
    """
    try:
        folder.make()
        check_logs(folder)
        record_owner(folder)
        record_spelling(folder)
    except OSError as error:
        raise UsageError(logs_fault(folder, error)) from None


def check_logs_access(folder: LogsFolder) -> None:
    """Raise UsageError if this user cannot make LOGS or files in it; nothing is written."""
    try:
        if folder.is_made:
            check_access(folder.dir_fd, folder.path)
        else:
            check_access(folder.parent_fd, os.path.dirname(folder.path))
    except OSError as error:
        raise UsageError(logs_fault(folder, error)) from None


def check_access(dir_fd: int, path: str) -> None:
    """Raise OSError if this user cannot make files in an open folder."""
    if os.access(".", os.W_OK | os.X_OK, dir_fd=dir_fd, effective_ids=True):
        return
    is_read_only = os.fstatvfs(dir_fd).f_flag & os.ST_RDONLY
    number = errno.EROFS if is_read_only else errno.EACCES
    raise OSError(number, os.strerror(number), path)


def check_logs(folder: LogsFolder) -> None:
    """Raise UsageError if the tables in LOGS are another directory's or another topic's; OSError."""
    check_owner(folder)
    check_spelling(folder)


def logs_fault(folder: LogsFolder, error: OSError) -> str:
    """Return why LOGS cannot be used."""
    return (
        f"cannot use {error.filename or folder.path}: {error.strerror}; dfud must be able to write into LOGS, "
        "which --state_dir puts elsewhere"
    )
