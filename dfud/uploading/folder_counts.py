"""Which folders some files lie in, directly or deeper."""

from __future__ import annotations


class FolderCounts(dict[bytes, int]):
    """The folders of files that come and go, none of them the directory itself.

    Each folder counts what lies in it directly, files and counted folders, so that a file among others in a folder
    costs one step.
    """

    def add(self, path: bytes) -> None:
        """Count the file at `path`; it may be counted several times."""
        while path := path.rpartition(b"/")[0]:
            count = self.get(path, 0)
            self[path] = count + 1
            if count:
                return

    def remove(self, path: bytes) -> list[bytes]:
        """Undo one `add`; return the folders that no file lies in any more."""
        emptied = []
        while path := path.rpartition(b"/")[0]:
            self[path] -= 1
            if self[path]:
                break
            del self[path]
            emptied.append(path)
        return emptied
