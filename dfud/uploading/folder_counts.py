"""Which folders some files lie in, directly or deeper."""

from __future__ import annotations

from collections.abc import Iterator


class FolderCounts:
    """The folders of files that come and go.

    Each folder counts what lies in it directly, so that a file among others in a folder costs one step.
    """

    def __init__(self) -> None:
        """Begin without files."""
        self._counts: dict[bytes, int] = {}  # files and counted folders in each folder

    def __contains__(self, folder: bytes) -> bool:
        """Return whether a file lies in `folder`, which is not the directory itself."""
        return folder in self._counts

    def __iter__(self) -> Iterator[bytes]:
        """Iterate over the folders."""
        return iter(self._counts)

    def add(self, path: bytes) -> None:
        """Count the file at `path`; it may be counted several times."""
        while path := path.rpartition(b"/")[0]:
            count = self._counts.get(path, 0)
            self._counts[path] = count + 1
            if count:
                return

    def remove(self, path: bytes) -> list[bytes]:
        """Undo one `add`; return the folders that no file lies in any more."""
        emptied = []
        while path := path.rpartition(b"/")[0]:
            self._counts[path] -= 1
            if self._counts[path]:
                break
            del self._counts[path]
            emptied.append(path)
        return emptied
