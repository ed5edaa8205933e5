"""One look at what is there, for ``--once``."""

from __future__ import annotations

import logging
from collections.abc import Iterator

from dfud.core.text import printable
from dfud.files.scan import Folder, WatchedTree
from dfud.watch.source import Ready


class OnceSource:
    """Every file that is there and that nobody has open for writing."""

    def __init__(self, tree: WatchedTree) -> None:
        self._tree = tree
        self._walk = tree.walk(Folder(b"", take_all=True))
        self._notices: list[tuple[int, str]] = []
        self._done = False

    def fileno(self) -> int:
        return -1

    def due(self, now: float) -> float | None:
        return None

    @property
    def has_more(self) -> bool:
        return not self._done

    @property
    def is_swept(self) -> bool:
        return self._done

    def notices(self) -> list[tuple[int, str]]:
        told, self._notices = self._notices, []
        return told + self._tree.pop_notices()

    def close(self) -> None:
        """Do nothing: there is nothing to let go of."""

    def sweep(self) -> None:
        """Do nothing: the one look is what there is."""

    def take_in(self) -> None:
        """Do nothing: there are no events."""

    def ready(self) -> Iterator[Ready | None]:
        for found in self._walk:
            if found is None:
                yield None
                continue
            version = found[0].version
            if self._tree.is_being_written(version.path):
                text = f"{printable(version.path)} is still being written: it is left for the next time"
                self._notices.append((logging.WARNING, text))
                yield None
            else:
                yield Ready(version, by_event=False)
        self._done = True
