"""How much was completed in which folder, in bounded memory however many folders there are."""

from __future__ import annotations

from dataclasses import dataclass

from dfud.status_page.markup import shortened

OTHERS = ""  # no path: stands for the folders that are one too many
_MAX_FOLDERS = 10_000
_MAX_DEPTH = 3  # of the folders that are told apart


@dataclass
class FolderTotal:
    """What was completed in a folder, and in those below it that are not told apart."""

    versions: int
    size: int  # bytes
    last_s: int  # when the last one was completed, since 1970; 0 if that is unknown


class FolderTotals:
    """Counts versions and bytes by folder; of many folders only the upper ones."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._depth = _MAX_DEPTH
        self._totals: dict[str, FolderTotal] = {}

    def add(self, path: str, size: int, time_s: int) -> None:
        """Count a version of the file at `path`."""
        *folders, _ = path.split("/", self._depth)
        folder = "/".join(folders) or "."
        self._count(shortened(folder), 1, size, time_s)

    def _count(self, folder: str, versions: int, size: int, last_s: int) -> None:
        total = self._totals.get(folder)
        if total is None and len(self._totals) >= _MAX_FOLDERS:
            if self._depth > 1:
                self._merge_lowest()
                folder = _upper(folder, self._depth)
            else:
                folder = OTHERS
            total = self._totals.get(folder)
        if total is None:
            self._totals[folder] = FolderTotal(versions, size, last_s)
        else:
            total.versions += versions
            total.size += size
            total.last_s = max(total.last_s, last_s)

    def _merge_lowest(self) -> None:
        self._depth -= 1
        lower, self._totals = self._totals, {}
        for folder, total in lower.items():
            self._count(_upper(folder, self._depth), total.versions, total.size, total.last_s)

    def latest(self) -> list[tuple[str, FolderTotal]]:
        """Return the folders, first the one in which a file was completed last; OTHERS is the last one."""
        return sorted(self._totals.items(), key=lambda item: (item[0] == OTHERS, -item[1].last_s, item[0]))

    @property
    def depth(self) -> int:
        """How deep the folders are that are told apart."""
        return self._depth


def _upper(folder: str, depth: int) -> str:
    return "/".join(folder.split("/")[:depth])
