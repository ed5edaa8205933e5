"""What a command that has no event loop says to its user."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from dfud.display.activity import Describe


@runtime_checkable
class Narrator(Protocol):
    """Says lines, and can show what goes on below them. One thread at a time may use it."""

    def __call__(self, line: str) -> None:
        """Say a line."""

    def show(self, describe: Describe) -> bool:
        """Show from now on what `describe` says; return False if it can only say lines."""

    def turn(self) -> None:
        """Show how things are now, if it is time; to be called a few times a second."""

    def clear(self) -> None:
        """Show nothing but lines any more."""
