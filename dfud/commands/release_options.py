"""Options of an upload that releases files, and what follows from them."""

from __future__ import annotations

from typing import Any, NamedTuple

import click

from dfud.commands.command import RELEASING, complete_folders
from dfud.commands.options import Command, all_of, option
from dfud.commands.receipt_options import check_receipts_given, duration_option, percent_option
from dfud.errors import UsageError
from dfud.kafka.config import read_config
from dfud.uploading.options import ReleasePlan


class WantedRelease(NamedTuple):
    """What the user wrote after --release and the options that begin like it."""

    what: str | None  # "delete" or "move"
    to: str | None
    every: float  # s
    older_than: float | None  # s
    keep_free: float | None  # percent
    rehash: bool


def release_options(command: Command) -> Command:
    """Add the options of releases to a command that has those of receipts."""
    return all_of(
        option(
            "--release",
            type=click.Choice(["delete", "move"]),
            group=RELEASING,
            help="Again and again, delete or move away the files that all receivers have; with --once, at the "
            "end.",
        ),
        option(
            "--release_to",
            metavar="DIR2",
            shell_complete=complete_folders,
            group=RELEASING,
            help="Directory of --release move: files go to their paths below it, where nothing is replaced.",
        ),
        duration_option("--release_every", "Time between two releases.", RELEASING, "60s"),
        duration_option(
            "--release_older_than",
            "Only files that were last modified before that, as in 30m, 12h or 7d.",
            RELEASING,
        ),
        percent_option(
            "--release_keep_free",
            "Only as many files as it takes, the oldest first, until so much of the file system of DIR is free.",
            RELEASING,
        ),
        option(
            "--release_rehash",
            is_flag=True,
            group=RELEASING,
            help="Read each file again, and compare it with its receipts.",
        ),
    )(command)


def take_release(options: dict[str, Any]) -> WantedRelease:
    """Take what is about releases alone out of the values of the options."""
    names = ("release", *(f"release_{each}" for each in WantedRelease._fields[1:]))
    return WantedRelease(*(options.pop(name) for name in names))


def plan_release(
    wanted: WantedRelease, directory: str, config: str, topic: str, options: dict[str, Any]
) -> ReleasePlan | None:
    """Return what is to be released beside an upload with these `options`; UsageError if that cannot work."""
    if wanted.what is None:
        for name, value in wanted._asdict().items():
            if value and name != "every":
                raise UsageError(f"--release_{name} has no effect without --release; add that, or remove it")
        return None
    check_receipts_given(options, "--release", "they say who must have a file before it goes")
    if (wanted.what == "move") != (wanted.to is not None):
        raise UsageError("--release_to DIR2 is where --release move moves files to: give both, or neither of them")
    if wanted.every < 1:
        raise UsageError(f"--release_every {wanted.every} is less than a second; raise it")
    from dfud.releasing.background import check_background
    from dfud.releasing.options import ReleaseOptions

    release = ReleaseOptions(
        directory=directory,
        topic=topic,
        receipts=options["receipts"],
        required=options["receivers"],
        to=wanted.to,
        acts=True,
        older_than_s=wanted.older_than,
        keep_free=wanted.keep_free,
        rehash=wanted.rehash,
        upload_regex=options["upload_regex"],
        state_dir=options["state_dir"],
        run_marker=options["run_marker"],
    )
    background = check_background(release, read_config(config, "consumer"))
    return ReleasePlan(wanted.every, "deleted" if wanted.to is None else "moved", background.run)
