"""``dfud download``, also known as ``DataFileDownloadDirectory``."""

from __future__ import annotations

import os
from typing import Any

import click

from dfud.commands.command import CONTEXT, FILES, RECEIPTS, RUNS, WHEN, Command, Example, version_option
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
    topic_option,
    update_option,
)
from dfud.core.receipt import receiver_fault
from dfud.downloading.receipt_options import ReceiptOptions
from dfud.downloading.run import DownloadOptions
from dfud.downloading.run import download as run_download
from dfud.downloading.runs.settings import BAG, PLAIN, RunSettings
from dfud.errors import LockedError, UsageError
from dfud.kafka.config import read_config
from dfud.kafka.receipt_config import read_receipt_config
from dfud.processes.console import open_standard_files

_EXAMPLES = (
    Example("Keep a copy of what is uploaded to a topic", "copy --config kafka.config --topic_name run42"),
    Example(
        "Read what is on the topic now, say on another one what has arrived, and exit",
        "copy --config kafka.config --topic_name run42 --receipts receipts --once",
    ),
    Example(
        "Share a topic with other machines that run the same",
        "copy --config kafka.config --topic_name run42 --consumer_group_id analysis",
    ),
)


def _check_receiver(_context: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
    """Return the name of the receiver. Raises BadParameter if it cannot be one."""
    fault = "" if value is None else receiver_fault(value)
    if fault:
        raise click.BadParameter(fault)
    return value


def _take_receipt_options(options: dict[str, Any], config: str, topic_name: str) -> ReceiptOptions | None:
    """Take what is about receipts out of the values of the options. Raises UsageError for contradictions."""
    topic, receiver, with_sha256 = (options.pop(name) for name in ("receipts", "receiver", "receipt_sha256"))
    if topic is None:
        if receiver is not None or with_sha256:
            name = "--receipt_sha256" if receiver is None else "--receiver"
            raise UsageError(f"{name} has no effect without --receipts; add --receipts TOPIC, or remove it")
        return None
    if topic == topic_name:
        raise UsageError(f"--receipts {topic} is the topic that the files are read from; name another one")
    return ReceiptOptions(topic, receiver, with_sha256, read_receipt_config(config))


def _take_run_options(options: dict[str, Any]) -> RunSettings | None:
    """Take what is about runs out of the values of the options. Raises UsageError for contradictions."""
    is_wanted, layout, with_ro_crate = (options.pop(name) for name in ("runs", "run_layout", "ro_crate"))
    if not is_wanted:
        if layout is not None or with_ro_crate:
            name = "--ro_crate" if layout is None else "--run_layout"
            raise UsageError(f"{name} has no effect without --runs; add --runs, or remove it")
        return None
    if options["consumer_group_id"] is not None:
        raise UsageError(
            "--consumer_group_id deals files out to several downloads, so that --runs would find no run whole; "
            "remove one of them"
        )
    return RunSettings(layout or BAG, with_ro_crate)


@click.command(cls=Command, context_settings=CONTEXT, examples=_EXAMPLES)
@directory_argument()
@config_option("consumer")
@topic_option("Topic to read.")
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
@option(
    "--receipts",
    metavar="TOPIC",
    callback=check_topic,
    group=RECEIPTS,
    help="Send a receipt of each file that is in its place, and on disk, to this topic, which is made, with "
    "cleanup.policy = compact, if it does not exist.",
)
@option(
    "--receiver",
    metavar="NAME",
    callback=_check_receiver,
    group=RECEIPTS,
    help="Name that the receipts have. Downloads that share a topic should have the same.  [default: HOST:DIR]",
)
@option(
    "--receipt_sha256",
    is_flag=True,
    group=RECEIPTS,
    help="Have receipts state the SHA-256 of each file, too: XXH3 detects damage, not forgery.",
)
@option(
    "--runs",
    is_flag=True,
    group=RUNS,
    help="Keep files out of sight, in LOGS, until a manifest lists them as a run; when all of a run is there, "
    "byte for byte, put it in its place by one rename of its folder.",
)
@option(
    "--run_layout",
    type=click.Choice([BAG, PLAIN]),
    group=RUNS,
    help="What such a folder is: a bag of BagIt, with the files in data, or just the files.  [default: bag]",
)
@option(
    "--ro_crate",
    is_flag=True,
    group=RUNS,
    help="Add ro-crate-metadata.json, which makes the files of each run an RO-Crate.",
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
    place; 1 messages or files are missing, each named, receipts are owed, or runs are not whole; 2 bad usage or
    configuration; 75 another instance is downloading to DIR.
    """  # fmt: skip
    client = read_config(config, "consumer")
    receipts = _take_receipt_options(options, config, topic_name)
    runs = _take_run_options(options)
    try:
        os.makedirs(directory, exist_ok=True)
    except OSError as error:
        raise UsageError(f"cannot create {directory}: {error.strerror}") from None
    is_quiet = apply_quiet(options)
    open_standard_files()
    try:
        log = take_log_options(options)
        wanted = DownloadOptions(
            directory=directory, topic=topic_name, log=log, receipts=receipts, runs=runs, **options
        )
        return run_download(wanted, client)
    except LockedError as error:
        if is_quiet:  # cron starts it again
            return error.exit_status
        raise
