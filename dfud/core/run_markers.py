"""Markers: files whose appearance says that the folder they lie in, a run, is finished."""

from __future__ import annotations

import fnmatch
import os
import re
from collections.abc import Iterable, Sequence

from dfud.core.names import UploadFilter


class RunMarkers:
    """The patterns of markers, as a shell has them.

    >>> RunMarkers(["*Complete.txt"]).matches(b"run7/CopyComplete.txt")
    True
    >>> RunMarkers(["run*/done"]).matches(b"test7/done")
    False
    """

    def __init__(self, patterns: Sequence[str]) -> None:
        """Compare a pattern without a "/" with the names of files, and any other one with their paths."""
        self._of_names = _compile(pattern for pattern in patterns if "/" not in pattern)
        self._of_paths = _compile(pattern for pattern in patterns if "/" in pattern)

    def matches(self, path: bytes) -> bool:
        """Return whether the file at `path`, which is relative to the directory, is a marker."""
        if self._of_names is not None and self._of_names.match(os.fsdecode(path.rpartition(b"/")[2])):
            return True
        return self._of_paths is not None and self._of_paths.match(os.fsdecode(path)) is not None


def _compile(patterns: Iterable[str]) -> re.Pattern[str] | None:
    regex = "|".join(map(fnmatch.translate, patterns))
    return re.compile(regex) if regex else None


class MarkerFilter:
    """Accepts markers besides what is uploaded anyway, but none in LOGS."""

    def __init__(self, path_filter: UploadFilter, markers: RunMarkers) -> None:
        """Ask `path_filter` first."""
        self._filter = path_filter
        self._markers = markers
        self.accepts_folder = path_filter.accepts_folder
        self.pop_undecided = path_filter.pop_undecided
        self.unmatched_warning = path_filter.unmatched_warning

    def accepts(self, path: bytes) -> bool:
        """Return whether a file is to be uploaded."""
        if self._filter.accepts(path):
            return True
        return self._markers.matches(path) and not self._filter.is_in_logs(path)
