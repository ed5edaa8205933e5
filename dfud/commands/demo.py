"""``dfud demo``: see dfud work, with nothing but this package."""

from __future__ import annotations

import click

from dfud.commands.command import CONTEXT, Command, Example, version_option
from dfud.commands.stop import StopRequested, signals_raise
from dfud.demo.show import show
from dfud.errors import EXIT_OK, EXIT_UNDELIVERED
from dfud.processes.console_narrator import ConsoleNarrator


@click.command(cls=Command, context_settings=CONTEXT, examples=[Example("See it, with nothing to configure", "")])
@version_option()
def demo() -> int:
    """See dfud work: a thousand files to a Kafka and back.

    It starts a Kafka of its own (the first time, it downloads about 45 MB) and uploads a tree of files. The files
    on the topic are compared with those in the folder byte for byte, and a second upload has to send nothing. All
    of it happens in a temporary folder, which is removed at the end. Exit status: 0 everything is the same;
    1 something differs.
    """
    try:
        with signals_raise():
            return EXIT_OK if show(ConsoleNarrator()) else EXIT_UNDELIVERED
    except StopRequested:
        raise click.Abort from None
