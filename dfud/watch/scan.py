"""Finding the files that lie below the watched directory, without following links to folders."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from typing import NamedTuple

from dfud.core.names import LOGS
from dfud.core.version import FileVersion
from dfud.pipeline.reading import is_being_written, open_to_read


class Seen(NamedTuple):
    """A file as a scan or a poll sees it."""

    version: FileVersion
    ctime_ns: int  # when its content, name or properties last changed; nobody can set it back


class Folder(NamedTuple):
    """A folder that is to be scanned."""

    path: bytes  # relative to the directory; b"" for itself
    take_all: bool  # or only the files that changed since the run began


def join(folder: bytes, name: bytes) -> bytes:
    """Return the relative path of `name` in `folder`, which is b"" at the top."""
    return folder + b"/" + name if folder else name


class Tree:
    """Looks at the files below one directory, by paths relative to it."""

    def __init__(self, directory: bytes, accepts: Callable[[bytes], bool], since_ns: int) -> None:
        """Accept the files that `accepts` does; those that changed before `since_ns` only if all are wanted."""
        self.directory = directory
        self._accepts = accepts
        self._since_ns = since_ns
        self._descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def full(self, path: bytes) -> bytes:
        return join(self.directory, path) if path else self.directory

    def look(self, path: bytes) -> Seen | None:
        """Return what is at `path` if that is a file to be uploaded; a link to a file counts as one."""
        if not self._accepts(path):
            return None
        try:
            found = os.stat(path, dir_fd=self._descriptor)
        except OSError:  # gone already, or a link to nowhere
            return None
        if not stat.S_ISREG(found.st_mode):
            return None
        return Seen(FileVersion(path, found.st_size, found.st_mtime_ns), found.st_ctime_ns)

    def is_wanted(self, seen: Seen, take_all: bool) -> bool:
        return take_all or seen.ctime_ns >= self._since_ns

    def being_written(self, path: bytes) -> bool | None:
        """Tell whether somebody has the file open for writing; None where that can't be known."""
        try:
            descriptor = open_to_read(path, self._descriptor)
        except OSError:
            return None
        try:
            return is_being_written(descriptor)
        finally:
            os.close(descriptor)

    def walk(
        self, start: Folder, enter: Callable[[Folder], bool] = lambda folder: True
    ) -> Iterator[tuple[Seen, bool] | None]:
        """Give each accepted file below `start`, with whether all are wanted where it lies, and None at times.

        `enter` is called with each folder before it is read (this is where it is watched); what it returns says
        whether the folder is new, so that all in it is wanted. A folder that can't be read is passed over.
        """
        folders = [start]
        while folders:
            folder = folders.pop()
            take_all = enter(folder) or folder.take_all
            try:
                names = os.scandir(self.full(folder.path))
            except OSError:
                continue
            yield None
            with names:
                for item in names:
                    path = join(folder.path, item.name)
                    if path == LOGS:
                        continue
                    try:
                        is_folder = item.is_dir(follow_symlinks=False)
                    except OSError:
                        continue
                    if is_folder:
                        folders.append(Folder(path, take_all or self._was_moved_in(path)))
                        continue
                    seen = self.look(path)
                    if seen is not None:
                        yield seen, take_all

    def _was_moved_in(self, path: bytes) -> bool:
        """Tell whether a folder has been renamed or moved since the run began: then its files have come with it.

        A rename changes the folder's ctime and not its mtime; a change of what is in it changes both.
        """
        try:
            found = os.stat(path, dir_fd=self._descriptor)
        except OSError:
            return False
        return found.st_ctime_ns >= self._since_ns > found.st_mtime_ns
