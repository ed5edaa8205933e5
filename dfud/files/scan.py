"""The files below a directory, found by a scan or by their paths, without following links to folders."""

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

_GONE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)  # removed, or replaced by something else


class ScannedFile(NamedTuple):
    """A file as a scan finds it."""

    version: FileVersion
    ctime_ns: int  # of the last change of its content, name or attributes; nobody can set it back


class Folder(NamedTuple):
    """A folder to be scanned."""

    path: bytes  # relative to the directory; b"" for the directory itself
    take_all: bool  # all files are wanted, not only those that changed since the run began


def join(folder: bytes, name: bytes) -> bytes:
    """Return the relative path of `name` in `folder`, which is b"" at the top."""
    return folder + b"/" + name if folder else name


class WatchedTree:
    """The files below one directory that match a filter, by paths relative to it.

    It remembers which folders could not be read, which were moved in, and what to report about them.
    """

    def __init__(
        self, directory: bytes, accepts: Callable[[bytes], bool], since_ns: int, moved_in: Iterable[bytes] = ()
    ) -> None:
        """Open the directory; OSError if that fails.

        `accepts` is the filter. Files that changed before `since_ns` are wanted only where all files are, such as
        in the folders `moved_in`, which are known to have been moved in since.
        """
        self.directory = directory
        self.accepts = accepts
        self.dir_fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self.is_gone = False  # the directory itself was removed, renamed or unmounted
        self._since_ns = since_ns
        self._moved_in = set(moved_in)
        self._newly_moved_in: list[bytes] = []
        self._unread: dict[bytes, Folder] = {}
        self._notices: list[tuple[int, str]] = []

    def close(self) -> None:
        """Close the directory."""
        os.close(self.dir_fd)

    def add_moved_in(self, path: bytes) -> None:
        """Remember that the whole folder at `path` was moved in."""
        self._moved_in.add(path)
        self._newly_moved_in.append(path)

    def pop_newly_moved_in(self) -> list[bytes]:
        """Return the folders that were moved in since the last call."""
        folders, self._newly_moved_in = self._newly_moved_in, []
        return folders

    def pop_notices(self) -> list[tuple[int, str]]:
        """Return what is to be logged since the last call, each text with its level."""
        notices, self._notices = self._notices, []
        return notices

    @property
    def unread(self) -> list[Folder]:
        """The folders that could not be read the last time."""
        return list(self._unread.values())

    def find_file(self, path: bytes) -> ScannedFile | None:
        """Return the file at `path` if it is one to be uploaded; a link to a file counts as a file.

        If its status cannot be read, that is reported and its folder is kept in `unread`.
        """
        try:
            return self._stat_file(path)
        except OSError as error:
            self._skip_folder(Folder(path.rpartition(b"/")[0], take_all=False), error)
            return None

    def _stat_file(self, path: bytes) -> ScannedFile | None:
        """Do as `find_file` does; OSError if the file's status cannot be read."""
        if not self.accepts(path):
            return None
        try:
            status = stat_at(self.dir_fd, path)
        except OSError as error:
            if error.errno in _GONE or self.is_link(path):  # a link to an inaccessible place is ignored
                return None
            raise OSError(error.errno, f"{error.strerror} ({printable(path)})") from None
        if not stat.S_ISREG(status.st_mode):
            return None
        return ScannedFile(FileVersion(path, status.st_size, status.st_mtime_ns), status.st_ctime_ns)

    def is_wanted(self, file: ScannedFile, take_all: bool) -> bool:
        """Return whether a file is to be uploaded: all are, or it changed since the run began."""
        return take_all or file.ctime_ns >= self._since_ns

    def is_being_written(self, path: bytes) -> bool | None:
        """Return whether any process has the file open for writing; None if that cannot be known."""
        try:
            descriptor, _ = open_regular_file(path, self.dir_fd)
        except OSError:
            return None
        try:
            return is_being_written(descriptor, closed_next=True)
        finally:
            os.close(descriptor)

    def is_link(self, path: bytes) -> bool:
        """Return whether `path` is a symbolic or a further hard link: its creation involves no close."""
        try:
            status = stat_at(self.dir_fd, path, follow_symlinks=False)
        except OSError:
            return False
        return stat.S_ISLNK(status.st_mode) or (stat.S_ISREG(status.st_mode) and status.st_nlink > 1)

    def walk(
        self, start: Folder, enter: Callable[[Folder, int], bool] = lambda folder, dir_fd: False
    ) -> Iterator[tuple[ScannedFile, bool] | None]:
        """Yield each accepted file below `start`, with whether all are wanted in its folder, and None in between.

        `enter` is called with each folder and its open descriptor before the folder is read (this is where it is
        watched), and returns whether the folder is new, so that all files in it are wanted. A folder that cannot
        be read is skipped, reported, and kept in `unread`. After a None the caller may do other work.
        """
        folders = [start]
        while folders:
            folder = folders.pop()
            try:
                dir_fd = open_at(self.dir_fd, folder.path or b".", os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            except OSError as error:
                self._skip_folder(folder, error)
                continue
            try:
                take_all = enter(folder, dir_fd) or folder.take_all
                yield None
                yield from self._list_folder(folder.path, take_all, dir_fd, folders)
                self._unread.pop(folder.path, None)
            except OSError as error:
                self._skip_folder(folder, error)
            finally:
                os.close(dir_fd)

    def _list_folder(
        self, folder: bytes, take_all: bool, dir_fd: int, folders: list[Folder]
    ) -> Iterator[tuple[ScannedFile, bool] | None]:
        """Yield the files of one open folder and None for anything else; add the folders in it to `folders`.

        Raises OSError at the end if the status of any of them could not be read.
        """
        first_error: OSError | None = None
        if not folder and not os.fstat(dir_fd).st_nlink:
            self.is_gone = True
        with os.scandir(dir_fd) as items:
            for item in items:
                path = join(folder, os.fsencode(item.name))
                if path == LOGS:
                    continue
                if item.is_dir(follow_symlinks=False):
                    folders.append(Folder(path, take_all or self._was_moved_in(path)))
                    continue
                try:
                    file = self._stat_file(path)
                except OSError as error:
                    first_error, file = first_error or error, None
                yield None if file is None else (file, take_all)
        if first_error is not None:
            raise first_error

    def check_top(self, trust_inode: bool = True) -> None:
        """Set `is_gone` if the directory is no longer where it was.

        `trust_inode` is to be false on remote file systems, where an inode number may change without cause.
        """
        try:
            present, opened = os.stat(self.directory), os.fstat(self.dir_fd)
        except (FileNotFoundError, NotADirectoryError):
            self.is_gone = True
        except OSError:  # it is there, but the file system is in trouble
            pass
        else:
            is_other = present.st_dev != opened.st_dev or (trust_inode and present.st_ino != opened.st_ino)
            self.is_gone = self.is_gone or is_other

    def _skip_folder(self, folder: Folder, error: OSError) -> None:
        """Keep a folder in `unread`, and report it the first time, unless it no longer exists."""
        if error.errno in _GONE:
            self._unread.pop(folder.path, None)
            return
        known = self._unread.get(folder.path)
        if known is None:
            name = printable(folder.path) or "."
            self._notices.append((logging.ERROR, f"cannot read folder {name}: {error.strerror}; skipped for now"))
        self._unread[folder.path] = folder if known is None or folder.take_all else known

    def _was_moved_in(self, path: bytes) -> bool:
        """Return whether a folder was renamed or moved since the run began: its files then came with it.

        A rename changes the folder's ctime and not its mtime. A later change of its content changes both, and then
        only the event that reported the move can tell.
        """
        if path in self._moved_in:
            return True
        try:
            status = stat_at(self.dir_fd, path)
        except OSError:
            return False
        return status.st_ctime_ns >= self._since_ns > status.st_mtime_ns
