"""A single scan, for ``--once``."""

from __future__ import annotations

import logging
from collections.abc import Iterator

from dfud.core.text import printable
from dfud.files.scan import Folder, WatchedTree
from dfud.messages import FileFound


class OnceSource:
    """Every file that is there and that no process has open for writing."""

    def __init__(self, tree: WatchedTree) -> None:
        """Scan `tree`, as far as `ready_files` is iterated."""
        self._tree = tree
        self._scan = tree.walk(Folder(b"", take_all=True))
        self._notices: list[tuple[int, str]] = []
        self._done = False

    def fileno(self) -> int:
        """Return -1: there are no events."""
        return -1

    def timeout(self, now: float) -> float | None:
        """Return None: nothing is due later."""
        return None

    @property
    def has_pending(self) -> bool:
        """Whether the scan is still going on."""
        return not self._done

    @property
    def is_sweep_done(self) -> bool:
        """Whether the scan is done."""
        return self._done

    def pop_notices(self) -> list[tuple[int, str]]:
        """Return what is to be logged since the last call, each text with its level."""
        notices, self._notices = self._notices, []
        return notices + self._tree.pop_notices()

    def close(self) -> None:
        """Do nothing: the kernel holds nothing for this source."""

    def start_sweep(self) -> None:
        """Do nothing: the one scan is the sweep."""

    def process_events(self) -> None:
        """Do nothing: there are no events."""

    def ready_files(self) -> Iterator[FileFound | None]:
        """Yield the files that are ready; None in between."""
        for step in self._scan:
            if step is None:
                yield None
                continue
            version = step[0].version
            if self._tree.is_being_written(version.path):
                text = f"{printable(version.path)} is still being written: left for the next run"
                self._notices.append((logging.WARNING, text))
                yield None
            else:
                yield FileFound(version, by_event=False)
        self._done = True
