"""``dfud release``: delete, or move away, the files that all receivers have."""

from __future__ import annotations

import os
from typing import Any

import click

from dfud.commands.command import CONTEXT, RECEIPTS, Command, Example, complete_folders, version_option
from dfud.commands.options import (
    check_markers,
    config_option,
    directory_argument,
    option,
    state_dir_option,
    topic_option,
    upload_regex_option,
)
from dfud.commands.receipt_options import (
    duration_option,
    percent_option,
    receipts_option,
    receivers_option,
)
from dfud.errors import UsageError
from dfud.kafka.config import read_config
from dfud.releasing.options import ReleaseOptions
from dfud.releasing.run import release as run_release

_WHAT, _OUTPUT = "What is done", "Output"
_OPTIONS = "/data/run42 --config kafka.config --topic_name run42 --receipts receipts"
_EXAMPLES = (
    Example("See which files both receivers have", f"{_OPTIONS} --receivers archive --receivers analysis"),
    Example("Delete what any two receivers have", f"{_OPTIONS} --receivers 2 --delete --yes"),
    Example(
        "Delete the oldest ones until a fifth of the disk is free: for cron",
        f"{_OPTIONS} --receivers archive --delete --keep_free 20 --yes",
    ),
)


@click.command(cls=Command, context_settings=CONTEXT, examples=_EXAMPLES)
@directory_argument()
@config_option("consumer")
@topic_option("Topic that DIR was uploaded to.")
@upload_regex_option("Only files that match this regular expression are released.", default="all")
@state_dir_option()
@receipts_option("Topic with the receipts of the receivers.")
@receivers_option("Receiver that must have a file")
@option("--rehash", is_flag=True, group=RECEIPTS, help="Read each file again, and compare it with its receipts.")
@option("--delete", is_flag=True, group=_WHAT, help="Delete the files.")
@option(
    "--to",
    metavar="DIR2",
    shell_complete=complete_folders,
    group=_WHAT,
    help="Move them to their paths below this directory, where nothing is replaced.",
)
@option(
    "--run_marker",
    metavar="GLOB",
    multiple=True,
    callback=check_markers,
    group=_WHAT,
    help="As for the upload: only files of runs that are sealed, so that manifests list all of their files.  "
    "[repeatable]",
)
@option("--yes", is_flag=True, group=_WHAT, help="Do it; without this, the files are only listed.")
@option("--dry_run", is_flag=True, group=_WHAT, help="Only list the files: the default.")
@duration_option(
    "--older_than", "Only files that were last modified before that, as in 90s, 30m, 12h, 7d or 2w.", _WHAT
)
@percent_option(
    "--keep_free",
    "Only as many files as it takes, the oldest first, until so much of the file system of DIR is free.",
    _WHAT,
)
@option("--json", is_flag=True, group=_OUTPUT, help="Print one JSON object, for machines.")
@option(
    "--print0",
    is_flag=True,
    group=_OUTPUT,
    help="Print the paths of the files that are released, or would be, each followed by a NUL.",
)
@version_option()
def release(directory: str, config: str, topic_name: str, **options: Any) -> int:
    """Delete or move the files that all receivers have.

    Only a file goes of which each receiver has sent a receipt of the very bytes that it has now. Without --yes the
    files are only listed. Exit status: 0 all that was to go has gone, or was listed; 1 something that should have
    gone could not, or --keep_free is not reached; 2 bad usage or configuration; 75 another release is running.
    """  # fmt: skip
    _check_usage(directory, options)
    return run_release(
        ReleaseOptions(
            directory=directory,
            topic=topic_name,
            receipts=options["receipts"],
            required=options["receivers"],
            to=options["to"],
            acts=options["yes"],
            older_than_s=options["older_than"],
            keep_free=options["keep_free"],
            rehash=options["rehash"],
            upload_regex=options["upload_regex"],
            state_dir=options["state_dir"],
            run_marker=options["run_marker"],
            json=options["json"],
            print0=options["print0"],
        ),
        read_config(config, "consumer"),
    )


def _check_usage(directory: str, options: dict[str, Any]) -> None:
    """Raise UsageError for options that exclude each other, and for a directory that is none."""
    if options["json"] and options["print0"]:
        raise UsageError("--json and --print0 exclude each other; give one of them")
    if options["print0"] and os.isatty(1):
        raise UsageError(
            "--print0 writes names as they are, and a terminal may obey them; send them to a pipe or a file"
        )
    if options["yes"] and options["dry_run"]:
        raise UsageError("--yes and --dry_run exclude each other; give one of them")
    if options["delete"] and options["to"] is not None:
        raise UsageError("--delete and --to exclude each other; give one of them")
    if options["yes"] and not options["delete"] and options["to"] is None:
        raise UsageError("--yes does not say what is to be done; give --delete, or --to DIR2")
    if not os.path.isdir(directory):
        what = "is not a directory" if os.path.exists(directory) else "does not exist"
        raise UsageError(f"{directory} {what}; give the directory whose files are to be released")
