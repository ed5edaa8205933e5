"""What a command that has no event loop says on standard output."""

from __future__ import annotations

import time

import click

from dfud.core.text import escaped
from dfud.display.activity import Describe
from dfud.processes.console import ConsoleOutput

_OUTPUT_TIMEOUT_S = 2.0  # for a terminal that is stopped


class ConsoleNarrator:
    """Responsible for lines on standard output, and for what goes on below them while something is shown.

    While nothing is, lines are written as by `print`: what follows may be another program's.
    """

    def __init__(self) -> None:
        """Begin with nothing but lines."""
        self._output: ConsoleOutput | None = None

    def __call__(self, line: str) -> None:
        """Say a line."""
        if self._output is None:
            click.echo(escaped(line))
        else:
            self._output.write_line(line)

    def show(self, describe: Describe) -> bool:
        """Show from now on what `describe` says; return False if standard output is no terminal that can."""
        output = ConsoleOutput(1)
        if output.show_live(describe):
            self._output = output
            return True
        output.close()
        return False

    def turn(self) -> None:
        """Show how things are now, if it is time."""
        if self._output is not None:
            self._output.wake()
            self._output.flush()
            self._output.turn(time.monotonic())

    def clear(self) -> None:
        """Show nothing but lines any more."""
        if self._output is not None:
            self._output.drain(_OUTPUT_TIMEOUT_S)
            self._output.close()
            self._output = None
