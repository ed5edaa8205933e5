"""The table of the commands, and the one place where an error becomes an exit status."""

from __future__ import annotations

import errno
import io
import logging
import signal
import sys
import traceback
from collections.abc import Sequence
from importlib import import_module
from types import TracebackType

import click

from dfud.commands.command import CONTEXT, Example, Group, version_option
from dfud.core.text import LAYOUT, escaped
from dfud.errors import EXIT_USAGE, DfudError, UsageError
from dfud.logs.journal import is_journal, with_priority

# Each names a module here and the click command in it; the order is that of the help text.
COMMANDS = (
    "upload",
    "download",
    "verify",
    "release",
    "lag",
    "seal",
    "status",
    "fleet",
    "doctor",
    "service",
    "broker",
    "demo",
    "completion",
)

_EXAMPLES = (
    Example("Start a Kafka to try it with", "broker"),
    Example("Upload what is added to a directory", "upload /data/run42 --config kafka.config --topic_name run42"),
    Example("See all options of a command", "upload -h"),
)
_STDERR = 2
_EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)


class LazyGroup(Group):
    """A group that imports a command only when it is used, so that a command loads only the modules it needs."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command, or None if there is none of that name."""
        return load(cmd_name) if cmd_name in COMMANDS else None


def load(name: str) -> click.Command:
    """Import a command of `COMMANDS` and return it."""
    command: click.Command = getattr(import_module(f"dfud.commands.{name}"), name)
    return command


# Without a command the group itself is invoked: versions of click differ in what they do otherwise.
@click.group(
    cls=LazyGroup,
    invoke_without_command=True,
    subcommand_metavar="COMMAND [ARGS]...",
    context_settings=CONTEXT,
    examples=_EXAMPLES,
)
@version_option()
@click.pass_context
def dfud(context: click.Context) -> int:
    """Upload the files of an instrument to Apache Kafka, and lose nothing."""
    if context.invoked_subcommand is None:
        click.echo(context.get_help(), err=True)
    return EXIT_USAGE


def main(arguments: Sequence[str] | None = None) -> None:
    """Run ``dfud``."""
    sys.exit(run(dfud, arguments, "dfud"))


def upload_main(arguments: Sequence[str] | None = None) -> None:
    """Run ``DataFileUploadDirectory``, which is ``dfud upload``."""
    sys.exit(run(load("upload"), arguments, "DataFileUploadDirectory"))


def download_main(arguments: Sequence[str] | None = None) -> None:
    """Run ``DataFileDownloadDirectory``, which is ``dfud download``."""
    sys.exit(run(load("download"), arguments, "DataFileDownloadDirectory"))


def run(command: click.Command, arguments: Sequence[str] | None, name: str) -> int:
    """Run `command` with `arguments` (by default those of the process) and return the exit status."""
    sys.excepthook = _print_traceback
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # None if it is closed
            stream.reconfigure(errors="backslashreplace")  # whatever the locale can encode
    try:
        if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:  # since dfud.__main__ set it so
            signal.signal(signal.SIGINT, signal.default_int_handler)
        status = command.main(arguments, prog_name=name, standalone_mode=False)
    except DfudError as error:
        _complain(f"{name}: {escaped(str(error), '' if isinstance(error, UsageError) else LAYOUT)}")
        return error.exit_status
    except click.UsageError as error:
        message = " ".join(error.format_message().split()).rstrip(".")
        command_path = error.ctx.command_path if error.ctx else name
        _complain(f"{name}: {escaped(message)} (see {command_path} --help)")
        return EXIT_USAGE
    except click.ClickException as error:
        _complain(f"{name}: {escaped(error.format_message())}")
        return EXIT_USAGE
    except OSError as error:
        if error.errno not in _EXHAUSTED:
            raise
        _complain(f"{name}: the limits of this process are too low ({error.strerror}); see ulimit -a")
        return EXIT_USAGE
    except (click.Abort, KeyboardInterrupt):
        _complain(f"{name}: interrupted")
        return 1
    return status if isinstance(status, int) else 0


def _print_traceback(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Print what Python prints of a bug, less what a terminal would take for a command."""
    _complain(escaped("".join(traceback.format_exception(kind, error, trace)), LAYOUT).rstrip("\n"))


def _complain(text: str) -> None:
    print(with_priority(text, logging.ERROR) if is_journal(_STDERR) else text, file=sys.stderr)
