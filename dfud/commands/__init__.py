"""The commands; the one place where an error becomes an exit status."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click

from dfud import __version__
from dfud.errors import EXIT_USAGE, DfudError

CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


@click.group(context_settings=CONTEXT)
@click.version_option(__version__, prog_name="dfud")
def dfud() -> None:
    """Upload what an instrument writes to Apache Kafka, and lose nothing."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run ``dfud``."""
    from dfud.commands.broker import broker
    from dfud.commands.upload import upload

    for command in (upload, broker):
        dfud.add_command(command)
    sys.exit(run(dfud, arguments, "dfud"))


def upload_main(arguments: Sequence[str] | None = None) -> None:
    """Run ``DataFileUploadDirectory``, which is ``dfud upload``."""
    from dfud.commands.upload import upload

    sys.exit(run(upload, arguments, "DataFileUploadDirectory"))


def run(command: click.Command, arguments: Sequence[str] | None, name: str) -> int:
    """Run `command` with `arguments` (those of the process by default); return the exit status."""
    try:
        status = command.main(arguments, prog_name=name, standalone_mode=False)
    except DfudError as error:
        print(f"{name}: {error}", file=sys.stderr)
        return error.exit_status
    except click.exceptions.NoArgsIsHelpError as error:
        print(error.format_message(), file=sys.stderr)
        return EXIT_USAGE
    except click.UsageError as error:
        message = " ".join(error.format_message().split())
        print(f"{name}: {message} (see {name} --help)", file=sys.stderr)
        return EXIT_USAGE
    except click.ClickException as error:
        print(f"{name}: {error.format_message()}", file=sys.stderr)
        return EXIT_USAGE
    except click.Abort:
        print(f"{name}: interrupted", file=sys.stderr)
        return 1
    return status if isinstance(status, int) else 0
