"""``dfud verify``: prove that a directory is on a topic."""

from __future__ import annotations

import os
from typing import Any

import click

from dfud.commands.command import CONTEXT, FILES, Command, Example, version_option
from dfud.commands.options import (
    config_option,
    directory_argument,
    follow_links_option,
    option,
    state_dir_option,
    threads_option,
    topic_option,
    upload_regex_option,
)
from dfud.core.names import path_fault
from dfud.errors import UsageError
from dfud.kafka.config import read_config
from dfud.processes.console import open_standard_files
from dfud.verifying.run import VerifyOptions
from dfud.verifying.run import verify as run_verify

_OUTPUT = "Output"
_EXAMPLES = (
    Example("Prove that all of a directory is on a topic", "/data/run42 --config kafka.config --topic_name run42"),
    Example(
        "Delete at the instrument what is proved to be on the topic",
        "/data/run42 --config kafka.config --topic_name run42 --print0 | (cd /data/run42 && xargs -0 -r rm --)",
    ),
)


def _check_run(_context: click.Context, _parameter: click.Parameter, value: str | None) -> bytes | None:
    """Return the path of a run, b"" for the directory itself. Raises BadParameter if it cannot be one."""
    if value is None:
        return None
    run = b"/".join(part for part in os.fsencode(value).split(b"/") if part not in (b"", b"."))
    fault = "it is absolute" if value.startswith("/") else path_fault(run) if run else ""
    if fault:
        raise click.BadParameter(f"{value!r} cannot be the path of a run below DIR: {fault}")
    return run


@click.command(cls=Command, context_settings=CONTEXT, examples=_EXAMPLES)
@directory_argument()
@config_option("consumer")
@topic_option("Topic to compare with.")
@upload_regex_option("Only files that match this regular expression are verified.")
@follow_links_option("Also verify files outside DIR that links in DIR lead to.")
@state_dir_option()
@option(
    "--run",
    metavar="PATH",
    group=FILES,
    callback=_check_run,
    help='Verify only the sealed run whose folder has this path below DIR, "." for DIR itself: what its last '
    "manifest lists is on the topic, and in DIR, unless it was removed there.",
)
@threads_option("Number of processes that share the topic's partitions.")
@option("--json", is_flag=True, group=_OUTPUT, help="Print one JSON object, for machines.")
@option(
    "--print0",
    is_flag=True,
    group=_OUTPUT,
    help="Print the files that are proved to be on the topic, each followed by a NUL.",
)
@version_option()
def verify(directory: str, config: str, topic_name: str, **options: Any) -> int:
    """Prove that DIR is on a Kafka topic, byte for byte.

    Every chunk on the topic is compared with the file in DIR; nothing is written. The files that --print0 lists
    may be deleted: a download of the topic gives them back. Exit status: 0 every file that an upload would take,
    and every one that the tables in DIR/LOGS call uploaded, is on the topic and identical, and nothing of the
    topic is missing (with --run: every file that the manifest lists, and the marker); 1 something is missing or
    differs; 2 bad usage or configuration.
    """  # fmt: skip
    if options["json"] and options["print0"]:
        raise UsageError("--json and --print0 exclude each other; give one of them")
    if options["print0"] and os.isatty(1):
        raise UsageError(
            "--print0 writes names as they are, and a terminal may obey them; send them to a pipe or a file"
        )
    if not os.path.isdir(directory):
        what = "is not a directory" if os.path.exists(directory) else "does not exist"
        raise UsageError(f"{directory} {what}; give the directory to be verified")
    open_standard_files()
    return run_verify(
        VerifyOptions(directory=directory, topic=topic_name, **options), read_config(config, "consumer")
    )
