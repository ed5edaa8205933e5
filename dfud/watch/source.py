"""What the watcher asks of its sources of files: the kernel's events, polling, or one look."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from dfud.messages import FileFound


class Source(Protocol):
    """Where files come from. It is only asked for as many as there is room for."""

    def fileno(self) -> int:
        """Return what becomes readable when there is something to `take_in`; -1 for nothing."""

    def due(self, now: float) -> float | None:
        """Return the seconds until there is something to do even so; None for never."""

    def take_in(self) -> None:
        """Take in what the kernel has to tell, without waiting."""

    def ready(self) -> Iterator[FileFound | None]:
        """Give what is ready, with None at times for a pause, until there is nothing more now."""

    @property
    def has_more(self) -> bool:
        """Whether `ready` would do anything."""

    @property
    def is_swept(self) -> bool:
        """Whether all that the last `sweep` asked for has been given."""

    def notices(self) -> list[tuple[int, str]]:
        """Return what is to be told since the last call, each with its level."""

    def sweep(self) -> None:
        """See to it that all that is there now is given; `is_swept` tells when."""

    def close(self) -> None:
        """Let go of what the kernel holds for it."""
