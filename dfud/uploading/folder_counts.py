"""Which folders some files lie in, directly or deeper."""

from __future__ import annotations


class FolderCounts(dict[bytes, int]):
    """The folders of files that come and go, none of them the directory itself, which is b"".

    Each folder counts what lies in it directly, files and counted folders, so that a file among others in a folder
    costs one step.
    """

    def enter(self, folder: bytes, n_files: int = 1) -> None:
        """Count files in `folder`, at least one; they may be counted several times."""
        while folder:
            count = self.get(folder, 0)
            self[folder] = count + n_files
            if count:
                return
            folder = folder.rpartition(b"/")[0]
            n_files = 1

    def leave(self, folder: bytes, n_files: int = 1) -> list[bytes]:
        """Undo `enter` for so many files; return the folders that no file lies in any more."""
        emptied = []
        while folder:
            count = self[folder] - n_files
            if count:
                self[folder] = count
                break
            del self[folder]
            emptied.append(folder)
            folder = folder.rpartition(b"/")[0]
            n_files = 1
        return emptied
