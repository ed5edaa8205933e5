"""What the watcher expects of a source of files: inotify, polling, or a single scan.

A source names files to the inspector, which decides when each of them is ready.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from dfud.messages import FileFound


class Source(Protocol):
    """Finds files that may be ready; the watcher takes only as many as there is room for."""

    def fileno(self) -> int:
        """Return the descriptor that is readable when there are events to process; -1 if there is none."""

    def timeout(self, now: float) -> float | None:
        """Return in how many seconds `process_events` has something to do even without events; None for never."""

    def process_events(self) -> None:
        """Process what the kernel has reported and what is due, without waiting."""

    def ready_files(self) -> Iterator[FileFound | None]:
        """Yield the files that are ready now; None in between, after which the caller may do other work."""

    @property
    def has_pending(self) -> bool:
        """Whether `ready_files` has anything to do."""

    def start_sweep(self) -> list[bytes]:
        """Look at once for everything that is there now; return the paths that events have named and that wait."""

    @property
    def is_sweep_done(self) -> bool:
        """Whether everything that the last sweep looked for has been yielded."""

    def pop_notices(self) -> list[tuple[int, str]]:
        """Return what is to be logged since the last call, each text with its level."""

    def close(self) -> None:
        """Release what the kernel holds for this source."""
