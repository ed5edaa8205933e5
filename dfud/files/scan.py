"""Finding the files that lie below the watched directory, without following links to folders."""

from __future__ import annotations

import errno
import logging
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from dfud.core.names import LOGS
from dfud.core.text import printable
from dfud.core.version import FileVersion
from dfud.files.openat import is_being_written, open_at, open_regular_file, stat_at

_GONE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)  # or no longer what it was


class ScannedFile(NamedTuple):
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


class ScanTree:
    """Looks at the files below one directory, by paths relative to it."""

    def __init__(
        self, directory: bytes, accepts: Callable[[bytes], bool], since_ns: int, moved_in: Iterable[bytes] = ()
    ) -> None:
        """Accept the files that `accepts` does; those that changed before `since_ns` only if all are wanted.

        All are in the folders `moved_in`, which are known to have come since.
        """
        self.directory = directory
        self.accepts = accepts
        self._since_ns = since_ns
        self._descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._moved_in = set(moved_in)
        self._newly_moved_in: list[bytes] = []
        self._unread: dict[bytes, Folder] = {}
        self.is_gone = False  # the directory itself has been removed, renamed or unmounted
        self._notices: list[tuple[int, str]] = []

    def close(self) -> None:
        os.close(self._descriptor)

    @property
    def top(self) -> int:
        """The descriptor of the directory itself."""
        return self._descriptor

    def note_moved_in(self, path: bytes) -> None:
        """Remember that the folder at `path` has come as a whole."""
        self._moved_in.add(path)
        self._newly_moved_in.append(path)

    def newly_moved_in(self) -> list[bytes]:
        """Return the folders that have come since the last call."""
        told, self._newly_moved_in = self._newly_moved_in, []
        return told

    def notices(self) -> list[tuple[int, str]]:
        """Return what is to be told since the last call, each with its level."""
        told, self._notices = self._notices, []
        return told

    @property
    def unread(self) -> list[Folder]:
        """The folders that could not be read when they were last looked at."""
        return list(self._unread.values())

    def look(self, path: bytes) -> ScannedFile | None:
        """Return what is at `path` if that is a file to be uploaded; a link to a file counts as one.

        Where the file can't be looked at, its folder is told and kept in `unread`.
        """
        try:
            return self._see(path)
        except OSError as problem:
            self._pass_over(Folder(path.rpartition(b"/")[0], take_all=False), problem)
            return None

    def _see(self, path: bytes) -> ScannedFile | None:
        """Do as `look` does; OSError where it can't be looked at."""
        if not self.accepts(path):
            return None
        try:
            found = stat_at(self._descriptor, path)
        except OSError as problem:
            if problem.errno in _GONE or self.is_link(path):  # a link to where nobody may look is left alone
                return None
            raise OSError(problem.errno, f"{problem.strerror} ({printable(path)})") from None
        if not stat.S_ISREG(found.st_mode):
            return None
        return ScannedFile(FileVersion(path, found.st_size, found.st_mtime_ns), found.st_ctime_ns)

    def is_wanted(self, seen: ScannedFile, take_all: bool) -> bool:
        return take_all or seen.ctime_ns >= self._since_ns

    def being_written(self, path: bytes) -> bool | None:
        """Tell whether somebody has the file open for writing; None where that can't be known."""
        try:
            descriptor, _ = open_regular_file(path, self._descriptor)
        except OSError:
            return None
        try:
            return is_being_written(descriptor, closed_next=True)
        finally:
            os.close(descriptor)

    def is_link(self, path: bytes) -> bool:
        """Tell whether there is a symbolic or a further hard link to a file: nobody needs to close that."""
        try:
            found = stat_at(self._descriptor, path, follow_symlinks=False)
        except OSError:
            return False
        return stat.S_ISLNK(found.st_mode) or (stat.S_ISREG(found.st_mode) and found.st_nlink > 1)

    def walk(
        self, start: Folder, enter: Callable[[Folder, int], bool] = lambda folder, descriptor: False
    ) -> Iterator[tuple[ScannedFile, bool] | None]:
        """Give each accepted file below `start`, with whether all are wanted where it lies, and None at times.

        `enter` is called with each folder and its open descriptor before it is read (this is where it is
        watched); what it returns says whether the folder is new, so that all in it is wanted. A folder that
        can't be read is passed over, told, and kept in `unread`.
        """
        folders = [start]
        while folders:
            folder = folders.pop()
            try:
                descriptor = open_at(
                    self._descriptor, folder.path or b".", os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
                )
            except OSError as problem:
                self._pass_over(folder, problem)
                continue
            try:
                take_all = enter(folder, descriptor) or folder.take_all
                yield None
                yield from self._list(folder.path, take_all, descriptor, folders)
                self._unread.pop(folder.path, None)
            except OSError as problem:
                self._pass_over(folder, problem)
            finally:
                os.close(descriptor)

    def _list(
        self, folder: bytes, take_all: bool, descriptor: int, folders: list[Folder]
    ) -> Iterator[tuple[ScannedFile, bool] | None]:
        """Give the files of one open folder, None for others, and add the folders in it to `folders`.

        OSError at the end of all if any of them could not be looked at.
        """
        trouble: OSError | None = None
        if not folder and not os.fstat(descriptor).st_nlink:
            self.is_gone = True
        with os.scandir(descriptor) as items:
            for item in items:
                path = join(folder, os.fsencode(item.name))
                if path == LOGS:
                    continue
                if item.is_dir(follow_symlinks=False):
                    folders.append(Folder(path, take_all or self._was_moved_in(path)))
                    continue
                try:
                    seen = self._see(path)
                except OSError as problem:
                    trouble, seen = trouble or problem, None
                yield None if seen is None else (seen, take_all)
        if trouble is not None:
            raise trouble

    def look_at_top(self, trust_inode: bool = True) -> None:
        """See whether the directory is still where it was.

        Where inode numbers may change by themselves (remote file systems), they are not to be trusted.
        """
        try:
            found, ours = os.stat(self.directory), os.fstat(self._descriptor)
        except (FileNotFoundError, NotADirectoryError):
            self.is_gone = True
        except OSError:  # it is there, and ill
            pass
        else:
            self.is_gone = (
                self.is_gone or found.st_dev != ours.st_dev or (trust_inode and found.st_ino != ours.st_ino)
            )

    def _pass_over(self, folder: Folder, problem: OSError) -> None:
        if problem.errno in _GONE:
            self._unread.pop(folder.path, None)
            return
        known = self._unread.get(folder.path)
        if known is None:
            text = f"the folder {printable(folder.path) or '.'} can't be read: {problem.strerror}; it is left out for now"
            self._notices.append((logging.ERROR, text))
        self._unread[folder.path] = folder if known is None or folder.take_all else known

    def _was_moved_in(self, path: bytes) -> bool:
        """Tell whether a folder has been renamed or moved since the run began: then its files have come with it.

        A rename changes the folder's ctime and not its mtime; a change of what is in it changes both, and then
        only who saw it come can know.
        """
        if path in self._moved_in:
            return True
        try:
            found = stat_at(self._descriptor, path)
        except OSError:
            return False
        return found.st_ctime_ns >= self._since_ns > found.st_mtime_ns
