"""The files of a download of runs: those that are staged, and those of runs that are in their places."""

from __future__ import annotations

import os
from collections.abc import Iterator

from dfud.core.names import LOGS
from dfud.downloading.earlier_files import FilesInPlace
from dfud.downloading.runs.listed_files import PAYLOAD, Places, place_of_run
from dfud.downloading.runs.settings import BAG
from dfud.downloading.runs.staging import open_staged
from dfud.files.open_folder import OpenFolder
from dfud.files.scan import join


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
        self._places = Places(self._directory, topic)
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
            self._places.forget()
            is_bag = self._places.layout_of(folder) == BAG
            for name, is_folder in self.list_folder(self._directory, folder):
                inner = path if is_bag and name == PAYLOAD else join(path, name)
                if not is_folder:
                    yield inner
                    continue
                is_top = self._places.is_top_run and join(folder, name) == place_of_run(b"", self._topic)
                folders.append((join(folder, name), b"" if is_top else inner))
