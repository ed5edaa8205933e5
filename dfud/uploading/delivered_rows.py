"""Of which files the in-progress table on disk says that some of their chunks need not be sent again."""

from __future__ import annotations

from collections.abc import Iterable

from dfud.core.version import folders_above
from dfud.uploading.folder_counts import FolderCounts


class DeliveredRows:
    """The rows with delivered chunks, of the table as it was written last."""

    def __init__(self, paths: Iterable[bytes] = ()) -> None:
        """Begin with the `paths` of the rows."""
        self._paths = set(paths)
        self._folders = FolderCounts()
        for path in self._paths:
            self._folders.enter(path.rpartition(b"/")[0])

    def are_void_after(self, path: bytes) -> bool:
        """Return whether any of them counts no more once another version of `path` is sent.

        Readers then drop what they have of other versions, of files below the path, and of files that are folders
        above it.
        """
        if not self._paths:
            return False
        paths = self._paths
        return path in paths or path in self._folders or any(folder in paths for folder in folders_above(path))
