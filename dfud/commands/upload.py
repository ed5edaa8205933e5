"""``dfud upload``, also known as ``DataFileUploadDirectory``."""

from __future__ import annotations

import math
from typing import Any

import click

from dfud.commands.command import (
    CONTEXT,
    FILES,
    MONITORING,
    RECEIPTS,
    SPEED,
    WHEN,
    Command,
    Example,
    complete_files,
    version_option,
)
from dfud.commands.guard_options import plan_guard, take_guard
from dfud.commands.openmsistream_options import (
    announcement_options,
    read_announcements,
    take_topic,
    take_useless,
    take_wanted,
    useless_options,
)
from dfud.commands.options import (
    apply_quiet,
    check_address,
    check_markers,
    check_topic,
    config_option,
    directory_argument,
    follow_links_option,
    logger_options,
    option,
    quiet_option,
    state_dir_option,
    take_log_options,
    threads_option,
    update_option,
    upload_regex_option,
)
from dfud.commands.receipt_options import check_receipts_unused, duration_option, receipts_option, receivers_option
from dfud.commands.release_options import plan_release, release_options, take_release
from dfud.core.chunking import is_chunk_size
from dfud.core.user_headers import parse_headers
from dfud.errors import LockedError
from dfud.kafka.config import read_config, take_wire_format
from dfud.processes.console import open_standard_files
from dfud.uploading.options import UploadOptions
from dfud.uploading.preflight import check_directory
from dfud.uploading.run import upload as run_upload

_MAX_CHUNK_SIZE = 1 << 29  # bytes; librdkafka's message.max.bytes is at most 1,000,000,000

_EXAMPLES = (
    Example(
        "Upload what is written into /data/run42 from now on",
        "/data/run42 --config kafka.config --topic_name run42",
    ),
    Example(
        "Upload what is there and what an earlier run has left, and exit: for cron",
        "/data/run42 --config kafka.config --topic_name run42 --once --quiet",
    ),
    Example(
        "Upload only the TIFF files, those that are there already, too, in chunks of 1 MiB",
        "/data/run42 --config kafka.config --topic_name run42 --upload_existing --upload_regex '.*[.]tiff?$' "
        "--chunk_size 1048576",
    ),
)


def _check_chunk_size(_context: click.Context, _parameter: click.Parameter, value: int) -> int:
    if not is_chunk_size(value) or value > _MAX_CHUNK_SIZE:
        raise click.BadParameter(f"{value} is not a nonzero power of two of at most {_MAX_CHUNK_SIZE}")
    return value


def _check_positive(_context: click.Context, _parameter: click.Parameter, value: float | None) -> float | None:
    if value is not None and not (math.isfinite(value) and value > 0):
        raise click.BadParameter(f"{value} is not a number above 0")
    return value


def _check_not_negative(_context: click.Context, _parameter: click.Parameter, value: float) -> float:
    if not (math.isfinite(value) and value >= 0):
        raise click.BadParameter(f"{value} is not a number of seconds from 0 on")
    return value


def _check_name(_context: click.Context, _parameter: click.Parameter, name: str | None) -> str | None:
    if name is not None and (name in ("", ".", "..") or "/" in name or "\0" in name):
        raise click.BadParameter(f"{name!r} is not the name of a file in the folder of a run")
    return name


def _check_headers(
    _context: click.Context, _parameter: click.Parameter, texts: tuple[str, ...]
) -> tuple[str, ...]:
    try:
        parse_headers(texts)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None
    return texts


@click.command(cls=Command, context_settings=CONTEXT, examples=_EXAMPLES)
@directory_argument()
@config_option("producer")
@option(
    "--topic_name", metavar="TOPIC", callback=check_topic, group=FILES, help="Topic to produce to.  [required]"
)
@option("--upload_existing", is_flag=True, group=FILES, help="Upload the files that are already there, too.")
@upload_regex_option("Only files that match this regular expression are uploaded.")
@option(
    "--run_marker",
    metavar="GLOB",
    multiple=True,
    callback=check_markers,
    group=FILES,
    help="Files such as CopyComplete.txt, whose appearance says that their folder is finished: all else in it is "
    "sent first, then a manifest of it, then the marker.  [repeatable]",
)
@option(
    "--run_metadata",
    metavar="NAME",
    callback=_check_name,
    group=FILES,
    help="File in the folder of a run, such as run.json, whose JSON object the manifest is to have.",
)
@option(
    "--run_sha256",
    is_flag=True,
    group=FILES,
    help="Have manifests state the SHA-256 of each file, too, for which the files of a run are read once more.",
)
@option(
    "--header",
    metavar="NAME=VALUE",
    multiple=True,
    callback=_check_headers,
    group=FILES,
    help="Header that every message is to have besides those of dfud, such as proposal=2026-17.  [repeatable]",
)
@follow_links_option("Also upload files outside DIR that links in DIR lead to.")
@state_dir_option()
@option(
    "--once", is_flag=True, group=WHEN, help="Upload what is there and what is unfinished, then exit: for cron."
)
@option(
    "--time_limit",
    metavar="SECONDS",
    type=float,
    callback=_check_positive,
    group=WHEN,
    help="After this time, begin no more files, finish those that are in progress, and exit.  [default: none]",
)
@option(
    "--watchdog_lag_time",
    metavar="SECONDS",
    type=float,
    default=0,
    callback=_check_not_negative,
    show_default=True,
    group=WHEN,
    help="How long a file must have been quiet before it is taken.",
)
@option(
    "--use_polling_observer",
    is_flag=True,
    group=WHEN,
    help="Poll for new files: for file systems without inotify, such as NFS and CIFS.",
)
@threads_option("Number of chunkers and producers that work side by side.")
@option(
    "--chunk_size",
    metavar="BYTES",
    type=int,
    default=16384,
    callback=_check_chunk_size,
    show_default=True,
    group=SPEED,
    help="Size of the chunks, a nonzero power of two.",
)
@option(
    "--queue_max_size",
    metavar="MB",
    type=float,
    default=500,
    callback=_check_positive,
    show_default=True,
    group=SPEED,
    help="Maximum memory for the internal queue and librdkafka's queues together.",
)
@receipts_option("Topic with the receipts of those who download the files.", required=False)
@receivers_option("Receiver whose receipts count", required=False)
@duration_option(
    "--guard",
    "Warn of what the topic may delete within this time before all receivers have them, as in 90s or 2d.",
    RECEIPTS,
)
@option(
    "--resend",
    is_flag=True,
    group=RECEIPTS,
    help="Send again what --guard warns of, and what was deleted unreceived, if DIR has it as it was sent.",
)
@release_options
@quiet_option()
@update_option()
@logger_options("DataFileUploadDirectory.log")
@option(
    "--canary",
    metavar="SECONDS",
    type=float,
    callback=_check_positive,
    group=MONITORING,
    help="Write a small file into LOGS this often, send it to a topic of its own, and say if it does not arrive."
    "  [default: never]",
)
@option(
    "--canary_topic_name",
    metavar="TOPIC",
    callback=check_topic,
    group=MONITORING,
    help="Topic of --canary.  [default: TOPIC_canary]",
)
@option(
    "--metrics_port",
    metavar="[ADDRESS:]PORT",
    callback=check_address,
    group=MONITORING,
    help="Serve metrics for Prometheus at this port, to programs on this machine unless ADDRESS is given.",
)
@option(
    "--metrics_file",
    metavar="FILE.prom",
    shell_complete=complete_files,
    group=MONITORING,
    help="Write metrics for Prometheus into this file, for the textfile collector of node_exporter.",
)
@announcement_options
@useless_options
@version_option()
def upload(directory: str, config: str, **options: Any) -> int:
    """Upload the files that are added to DIR to a Kafka topic.

    While it runs, type "check" or "c" to see what is in progress, and "quit" or "q" to end when all that is
    enqueued has been delivered. What is on the topic is recorded in the folder LOGS, which is made in DIR. Exit
    status: 0 all is on the topic and recorded; 1 some files could not be delivered; 2 bad usage or configuration;
    75 another instance is uploading DIR to this topic.
    """  # fmt: skip
    check_directory(directory)
    topic = take_topic(options)
    client = take_wire_format(read_config(config, "producer"))
    warnings = [*take_useless(options), *client.warnings]
    announcements = read_announcements(take_wanted(options), config, topic)
    warnings.extend(line for each in announcements for line in each.config.warnings)
    client = client._replace(warnings=tuple(dict.fromkeys(warnings)))
    release = plan_release(take_release(options), directory, config, topic, options)
    guard = plan_guard(take_guard(options), directory, config, topic, options)
    if release is None and guard is None:
        check_receipts_unused(options)
    is_quiet = apply_quiet(options)
    open_standard_files()
    try:
        log = take_log_options(options)
        chosen = UploadOptions(
            directory=directory,
            topic=topic,
            log=log,
            announcements=announcements,
            release=release,
            guard=guard,
            **options,
        )
        return run_upload(chosen, client)
    except LockedError as error:
        if is_quiet:  # cron starts it again
            return error.exit_status
        raise
