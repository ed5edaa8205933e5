"""Checks before anything is written: whether memory, topic and LOGS allow what the user asked for."""

from __future__ import annotations

import logging
import mmap
from collections.abc import Mapping
from typing import Any

from dfud.errors import UsageError
from dfud.kafka.config import ClientConfig
from dfud.kafka.properties import fit_to_topic
from dfud.kafka.topic import UploadTopic
from dfud.kafka.topic_facts import Severity
from dfud.kafka.topic_rules import UploadNeeds
from dfud.logs.layout import MAX_TOPIC_CHARS, LogsFolder
from dfud.logs.owner import check_owner, record_owner
from dfud.logs.spelling import check_spelling, record_spelling
from dfud.uploading.memory import MEGABYTE, Shares, divide
from dfud.uploading.options import UploadOptions


def memory_shares(options: UploadOptions) -> Shares:
    """Return what each lane may use of --queue_max_size."""
    return divide(int(options.queue_max_size * MEGABYTE), options.n_threads, options.chunk_size)


def check_options(options: UploadOptions) -> None:
    """Raise UsageError if the topic's name is too long for its tables, or the memory does not suit."""
    if len(options.topic) > MAX_TOPIC_CHARS:
        raise UsageError(
            f"--topic_name is longer than {MAX_TOPIC_CHARS} characters: its tables would have no room for it"
        )
    _check_canary(options)
    if memory_shares(options).ring < 2 * options.chunk_size:
        raise UsageError(
            f"--queue_max_size {options.queue_max_size:g} has no room for two chunks of --chunk_size "
            f"{options.chunk_size} in each of --n_threads {options.n_threads}; raise it"
        )
    try:
        # The kernel refuses now what it would refuse later; pages that are not touched use no memory.
        mmap.mmap(-1, int(options.queue_max_size * MEGABYTE)).close()
    except (OSError, OverflowError, ValueError):
        raise UsageError(
            f"--queue_max_size {options.queue_max_size:g} (MB) is more memory than is available here; lower it"
        ) from None


def _check_canary(options: UploadOptions) -> None:
    if (options.canary is None) != (options.canary_topic_name is None):
        raise UsageError("--canary and --canary_topic_name go together: give both or neither")
    if options.canary is not None and options.canary_topic_name == options.topic:
        raise UsageError(f"--canary_topic_name {options.topic} is the topic of the files; give another one")
    if options.canary is not None and options.once:
        raise UsageError("--canary is for an upload that goes on, not for --once; leave one of them out")


def topic_needs(options: UploadOptions, properties: Mapping[str, Any]) -> UploadNeeds:
    """Return what the upload wants of its topic."""
    acks = str(properties.get("acks", properties.get("request.required.acks")))
    return UploadNeeds(options.chunk_size, wants_all_acks=acks in ("all", "-1"))


def check_topic(
    topic: UploadTopic, properties: dict[str, str | int | bool], config: ClientConfig, log: logging.Logger
) -> None:
    """Log what was found about the topic, and fit librdkafka's `properties` to it."""
    for finding in topic.findings:
        log.log(logging.WARNING if finding.severity is Severity.WARNING else logging.DEBUG, finding.text)
    if topic.facts.largest_batch is not None:
        fit_to_topic(properties, config.properties, topic.facts.largest_batch)


def make_logs(directory: str, topic: str, state_dir: str | None = None) -> LogsFolder:
    """Open LOGS in `directory`, or in `state_dir`, and create it unless it exists.

    Raises UsageError if that is not possible, or if the tables in it are another directory's or another topic's.
    """
    folder = LogsFolder(directory, topic, state_dir)
    try:
        folder.make()
        check_owner(folder)
        check_spelling(folder)
        record_owner(folder)
        record_spelling(folder)
    except OSError as error:
        raise UsageError(
            f"cannot use {error.filename or folder.path}: {error.strerror}; dfud must be able to write into LOGS, "
            "which --state_dir puts elsewhere"
        ) from None
    return folder
