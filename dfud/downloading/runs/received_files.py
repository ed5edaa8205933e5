"""The files of a download of runs: those that are staged, and those of runs that are in their places."""

from __future__ import annotations

import os
from collections.abc import Iterator

from dfud.core.bagit import DECLARATION_NAME
from dfud.core.names import LOGS
from dfud.downloading.earlier_files import FilesInPlace
from dfud.downloading.runs.listed_files import PAYLOAD, place_of_run
from dfud.downloading.runs.placement import Mark
from dfud.downloading.runs.staging import open_staged
from dfud.files.open_folder import OpenFolder
from dfud.files.scan import join

_BAG = (DECLARATION_NAME.encode(), False)


class ReceivedFiles(FilesInPlace):
    """All of them, by their paths on the topic: a file may be moved from the one to the other meanwhile."""

    def __init__(self, directory: str, parts_folder: str, topic: str) -> None:
        """Look into `directory`, and into the folder of parts with this name in LOGS."""
        super().__init__(directory)
        logs = OpenFolder(directory, os.fsdecode(LOGS))
        parts_fd = logs.open_folder_in(parts_folder)
        self._directory, self.tree = self.tree, open_staged(parts_fd, directory, topic)
        os.close(parts_fd)
        logs.close()
        self._topic = topic
        self.are_moved = True

    def close(self) -> None:
        """Close all folders."""
        super().close()
        self._directory.close()

    def __iter__(self) -> Iterator[bytes]:
        """Yield the paths of files that are staged first: what is not, any more, is in its place."""
        yield from super().__iter__()
        folders = [(b"", b"")]  # path below the directory, and path on the topic
        while folders:
            folder, path = folders.pop()
            entries = self.list_folder(self._directory, folder)
            is_bag = _BAG in entries
            for name, is_folder in entries:
                inner = path if is_bag and name == PAYLOAD else join(path, name)
                if not is_folder:
                    yield inner
                elif self._is_top(join(folder, name)):
                    folders.append((join(folder, name), b""))
                else:
                    folders.append((join(folder, name), inner))

    def _is_top(self, folder: bytes) -> bool:
        """Return whether a folder is the place of the whole directory that was uploaded."""
        if folder != place_of_run(b"", self._topic):
            return False
        try:
            mark = Mark.read(self._directory.open_folder(folder))
        except OSError:
            return False
        return mark is not None and mark.is_of(b"")
