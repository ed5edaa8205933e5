"""``dfud download``, also known as ``DataFileDownloadDirectory``."""

from __future__ import annotations

import os
from typing import Any

import click

from dfud.commands.command import CONTEXT, FILES, WHEN, Command, Example, version_option
from dfud.commands.options import (
    apply_quiet,
    check_regex,
    check_topic,
    config_option,
    directory_argument,
    logger_options,
    option,
    quiet_option,
    take_log_options,
    threads_option,
    update_option,
)
from dfud.downloading.run import DownloadOptions
from dfud.downloading.run import download as run_download
from dfud.errors import LockedError, UsageError
from dfud.kafka.config import read_config
from dfud.processes.console import open_standard_files

_EXAMPLES = (
    Example("Keep a copy of what is uploaded to a topic", "copy --config kafka.config --topic_name run42"),
    Example("Read what is on the topic now, and exit", "copy --config kafka.config --topic_name run42 --once"),
    Example(
        "Share a topic with other machines that run the same",
        "copy --config kafka.config --topic_name run42 --consumer_group_id analysis",
    ),
)


@click.command(cls=Command, context_settings=CONTEXT, examples=_EXAMPLES)
@directory_argument()
@config_option("consumer")
@option("--topic_name", metavar="TOPIC", required=True, callback=check_topic, group=FILES, help="Topic to read.")
@option(
    "--download_regex",
    metavar="REGEX",
    group=FILES,
    default="",
    callback=check_regex,
    help="Only files whose paths, relative to DIR, match this regular expression are downloaded.  [default: all]",
)
@option(
    "--consumer_group_id",
    metavar="GROUP",
    group=FILES,
    help="Share the topic with other downloads, on any machine, that name the same consumer group: each file "
    "arrives at one of them. By default DIR gets all of the topic, with a group of its own, whose name begins "
    "with group.id of [consumer].",
)
@option("--once", is_flag=True, group=WHEN, help="Read what is on the topic at the start, then exit: for cron.")
@threads_option("Number of processes that share the topic's partitions.")
@quiet_option()
@update_option()
@logger_options("DataFileDownloadDirectory.log")
@version_option()
def download(directory: str, config: str, topic_name: str, **options: Any) -> int:
    """Rebuild the files of a Kafka topic below DIR.

    DIR is created if it does not exist. While it runs, type "check" or "c" to see its progress, and "quit" or "q"
    to end when what was read is on disk. Exit status: 0 everything was read, and every file is complete and in its
    place; 1 messages or files are missing, each named; 2 bad usage or configuration; 75 another instance is
    downloading to DIR.
    """  # fmt: skip
    client = read_config(config, "consumer")
    try:
        os.makedirs(directory, exist_ok=True)
    except OSError as error:
        raise UsageError(f"cannot create {directory}: {error.strerror}") from None
    is_quiet = apply_quiet(options)
    open_standard_files()
    try:
        log = take_log_options(options)
        return run_download(DownloadOptions(directory=directory, topic=topic_name, log=log, **options), client)
    except LockedError as error:
        if is_quiet:  # cron starts it again
            return error.exit_status
        raise
