"""Which folders some files lie in, directly or deeper."""

from __future__ import annotations


class FolderCounts(dict[bytes, int]):
    """The folders of files that come and go, none of them the directory itself, which is b"".

    Each folder counts what lies in it directly, files and counted folders, so that a file among others in a folder
    costs one step.
    """

    def enter(self, folder: bytes) -> None:
        """Count a file in `folder`; it may be counted several times."""
        while folder:
            count = self.get(folder, 0)
            self[folder] = count + 1
            if count:
                return
            folder = folder.rpartition(b"/")[0]

    def leave(self, folder: bytes) -> list[bytes]:
        """Undo one `enter`; return the folders that no file lies in any more."""
        emptied = []
        while folder:
            count = self[folder] - 1
            if count:
                self[folder] = count
                break
            del self[folder]
            emptied.append(folder)
            folder = folder.rpartition(b"/")[0]
        return emptied
