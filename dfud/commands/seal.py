"""``dfud seal``: says that a folder is finished, where no instrument does."""

from __future__ import annotations

import json
import os
import socket
import time

import click

from dfud.commands.command import CONTEXT, FILES, Command, Example, complete_folders, version_option
from dfud.commands.options import option
from dfud.core.json_fields import time_text
from dfud.core.text import escaped
from dfud.errors import EXIT_OK, UsageError
from dfud.files.atomic import replace_file

MARKER = "seal.dfud"
_EXAMPLES = (
    Example("Seal a run", "/data/run7"),
    Example("Write the marker that an instrument would write", "/data/run7 --run_marker CopyComplete.txt"),
)


def _check_name(_context: click.Context, _parameter: click.Parameter, name: str) -> str:
    if name in ("", ".", "..") or "/" in name or set(name) & set("*?[\0"):
        raise click.BadParameter(f"{name!r} is not the name of a file")
    return name


@click.command(cls=Command, context_settings=CONTEXT, examples=_EXAMPLES)
@click.argument("folder", metavar="FOLDER", type=click.Path(), shell_complete=complete_folders)
@option(
    "--run_marker",
    metavar="NAME",
    default=MARKER,
    show_default=True,
    callback=_check_name,
    group=FILES,
    help="Name of the file to write, as an upload has it as --run_marker.",
)
@version_option()
def seal(folder: str, run_marker: str) -> int:
    """Say that FOLDER is finished, so that an upload seals it.

    It writes a small file into FOLDER. An upload that has the name of that file as --run_marker then sends all
    else in FOLDER first, then a manifest of it, and then that file. Do it again after a change, and the run is
    sealed again. Exit status: 0 the file is written; 2 it cannot be.
    """  # fmt: skip
    fields = {"sealed": time_text(time.time_ns()), "host": escaped(socket.gethostname())}
    try:
        dir_fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            replace_file(dir_fd, run_marker, [json.dumps(fields).encode() + b"\n"])
        finally:
            os.close(dir_fd)
    except OSError as error:
        raise UsageError(f"cannot write {run_marker} into {folder}: {error.strerror}") from None
    path = escaped(os.path.join(folder, run_marker))
    click.echo(f"{path} is written: an upload with --run_marker {escaped(run_marker)} seals the run")
    return EXIT_OK
