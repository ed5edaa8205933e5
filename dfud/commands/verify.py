"""``dfud verify``: prove that a directory is on a topic."""

from __future__ import annotations

import os
from typing import Any

import click

from dfud.commands.command import CONTEXT, Command, Example, version_option
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


@click.command(cls=Command, context_settings=CONTEXT, examples=_EXAMPLES)
@directory_argument()
@config_option("consumer")
@topic_option("Topic to compare with.")
@upload_regex_option("Only files that match this regular expression are verified.")
@follow_links_option("Also verify files outside DIR that links in DIR lead to.")
@state_dir_option()
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
    topic is missing; 1 something is missing or differs; 2 bad usage or
    configuration.
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
