"""The files below a directory, found by a scan or by their paths, without following links to folders."""

from __future__ import annotations

import errno
import logging
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple, Protocol

from dfud.core.names import LOGS
from dfud.core.text import counted, printable
from dfud.core.version import FileVersion
from dfud.files.links import LinkLeavesDirectoryError, LinkPolicy, LinkRefusedError
from dfud.files.openat import DEFAULT_LINKS, look, look_at, open_folder

GONE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)  # removed, or replaced by something else
_LOST_AND_FOUND = b"lost+found"


class ScannedFile(NamedTuple):
    """A file as a scan finds it."""

    version: FileVersion
    ctime_ns: int  # of the last change of its content, name or attributes; nobody can set it back
    inode: int
    device: int


class Folder(NamedTuple):
    """A folder to be scanned."""

    path: bytes  # relative to the directory; b"" for the directory itself
    take_all: bool  # all files are wanted, not only those that changed since the run began


class PathFilter(Protocol):
    """Which files are to be uploaded, by their paths: `dfud.core.names.UploadFilter`."""

    def accepts(self, path: bytes) -> bool:
        """Return whether a file is to be uploaded."""

    def accepts_folder(self, path: bytes) -> bool:
        """Return whether a file below a folder may be accepted."""


class SettledFiles(Protocol):
    """Which files need no look, whoever scans: `dfud.watch.settled.Settled`."""

    def unsettled(
        self, folder: bytes, items: Iterable[os.DirEntry[str]], accepts: Callable[[bytes], bool] | None
    ) -> Iterator[os.DirEntry[str] | int]:
        """Yield those `items` of a folder that want a look, and in between how many were passed over.

        With `accepts`, the first that is passed over is one with such a path.
        """


class Counts:
    """What a scan has seen besides the files that it yields."""

    def __init__(self) -> None:
        self.files = 0  # accepted or not
        self.accepted = 0
        self.empty_folders = 0
        self.folder_links = 0

    def lines(self) -> list[str]:
        """Return what is left because a topic has no message for it."""
        lines = []
        if self.empty_folders:
            lines.append(f"{counted(self.empty_folders, 'empty folder')}: left, as a topic holds only files")
        if self.folder_links:
            lines.append(f"{counted(self.folder_links, 'link')} to folders: not followed")
        return lines


def join(folder: bytes, name: bytes) -> bytes:
    """Return the relative path of `name` in `folder`, which is b"" at the top."""
    return folder + b"/" + name if folder else name


class WatchedTree:
    """The files below one directory that match a filter, by paths relative to it.

    It remembers which folders could not be read, which were moved in, and what to report about them.
    """

    def __init__(
        self,
        directory: bytes,
        path_filter: PathFilter,
        since_ns: int = 0,
        moved_in: Iterable[bytes] = (),
        missed: tuple[int, int] = (0, 0),
        links: LinkPolicy = DEFAULT_LINKS,
        named: bytes = b"",
    ) -> None:
        """Open the directory; OSError if that fails.

        `directory` is free of links; `named` is the path that the user gave, which may lead elsewhere one day.

        Files that changed before `since_ns` and not in the time `missed` are wanted only where all files are, such
        as in the folders `moved_in`, which are known to have been moved in since. `links` says which links are
        followed, and which folder is LOGS.
        """
        self.directory = directory
        self._named = named or directory
        self.path_filter = path_filter
        self.links = links
        self.dir_fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self.is_gone = False  # the directory itself was removed, renamed or unmounted
        self.counts = Counts()
        self._since_ns = since_ns
        self._missed = missed
        self._moved_in = set(moved_in)
        self._newly_moved_in: list[bytes] = []
        self._unread: dict[bytes, Folder] = {}
        self._has_reported_link = False
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
        """Return the file at `path` if it is one to be uploaded; a link that is followed counts as a file.

        If its status cannot be read, that is reported and its folder is kept in `unread`.
        """
        if not self.path_filter.accepts(path):
            return None
        try:
            status = look(self.dir_fd, path, self.links)
        except OSError as error:
            self._skip_file(path, error)
            return None
        return _scanned(path, status)

    def _skip_file(self, path: bytes, error: OSError) -> None:
        """Report that the status of a file cannot be read, unless it no longer exists."""
        if isinstance(error, LinkRefusedError):
            self._refuse_link(path, error)
        elif error.errno not in GONE:
            reason = OSError(error.errno, f"{error.strerror} ({printable(path)})")
            self._skip_folder(Folder(path.rpartition(b"/")[0], take_all=False), reason)

    def _refuse_link(self, path: bytes, error: LinkRefusedError) -> None:
        """Report the first link that leads out of the directory."""
        if not isinstance(error, LinkLeavesDirectoryError) or error.leads_to_folder or self._has_reported_link:
            return
        self._has_reported_link = True
        text = f"{printable(path)} is a link that leads out of the directory: left, and so is any other one"
        self._notices.append((logging.WARNING, f"{text}; --follow_links uploads them"))

    def is_wanted(self, file: ScannedFile, take_all: bool) -> bool:
        """Return whether a file is to be uploaded: all are, or it changed since the run began or was missed."""
        changed_at = file.ctime_ns
        return take_all or changed_at >= self._since_ns or self._missed[0] <= changed_at < self._missed[1]

    def is_link(self, path: bytes) -> bool:
        """Return whether `path` is a symbolic or a further hard link: its creation involves no close."""
        try:
            status = look(self.dir_fd, path)
        except OSError:
            return False
        return stat.S_ISLNK(status.st_mode) or (stat.S_ISREG(status.st_mode) and status.st_nlink > 1)

    def walk(
        self,
        start: Folder,
        enter: Callable[[Folder, int], bool] = lambda folder, dir_fd: False,
        settled: SettledFiles | None = None,
    ) -> Iterator[tuple[ScannedFile, bool] | None]:
        """Yield each accepted file below `start`, with whether all are wanted in its folder, and None in between.

        `enter` is called with each folder and its open descriptor before the folder is read (this is where it is
        watched), and returns whether the folder is new, so that all files in it are wanted. A folder that cannot
        be read is skipped, reported, and kept in `unread`. After a None the caller may do other work. Files that
        are `settled` are passed over.
        """
        folders = [start]
        while folders:
            folder = folders.pop()
            try:
                dir_fd = open_folder(self.dir_fd, folder.path, os.O_RDONLY)
            except OSError as error:
                self._skip_folder(folder, error)
                continue
            try:
                status = os.fstat(dir_fd)
                if (status.st_dev, status.st_ino) == self.links.logs:
                    continue
                if not folder.path and not status.st_nlink:
                    self.is_gone = True
                take_all = enter(folder, dir_fd) or folder.take_all
                yield None
                yield from self._list_folder(folder.path, take_all, dir_fd, folders, settled)
                self._unread.pop(folder.path, None)
            except OSError as error:
                self._skip_folder(folder, error)
            finally:
                os.close(dir_fd)

    def _list_folder(
        self,
        folder: bytes,
        take_all: bool,
        dir_fd: int,
        folders: list[Folder],
        settled: SettledFiles | None,
    ) -> Iterator[tuple[ScannedFile, bool] | None]:
        """Yield the files of one open folder and None for anything else; add the folders in it to `folders`.

        Raises OSError at the end if the status of any of them could not be read.
        """
        first_error: OSError | None = None
        counts, is_empty = self.counts, True
        with os.scandir(dir_fd) as items:
            accepts = None if counts.accepted else self.path_filter.accepts
            for item in items if settled is None else settled.unsettled(folder, items, accepts):
                is_empty = False
                if isinstance(item, int):
                    counts.files += item
                    counts.accepted += item
                    yield None
                    continue
                name = os.fsencode(item.name)
                path = join(folder, name)
                if item.is_dir(follow_symlinks=False):
                    if path != LOGS and self.path_filter.accepts_folder(path):
                        folders.append(Folder(path, take_all or self._was_moved_in(path)))
                    continue
                counts.files += 1
                if not self.path_filter.accepts(path):
                    yield None
                    continue
                counts.accepted += 1
                try:
                    status = look_at(item, dir_fd, name, self.dir_fd, self.links)
                    file = _scanned(path, status)
                    counts.folder_links += file is None and stat.S_ISDIR(status.st_mode)
                except LinkRefusedError as error:
                    counts.folder_links += error.leads_to_folder
                    self._refuse_link(path, error)
                    file = None
                except OSError as error:
                    file = None
                    if error.errno not in GONE:
                        detail = f"{error.strerror} ({printable(path)})"
                        first_error = first_error or OSError(error.errno, detail)
                yield None if file is None else (file, take_all)
        if is_empty and folder:
            counts.empty_folders += 1
        if first_error is not None:
            raise first_error

    def check_top(self, trust_inode: bool = True) -> None:
        """Set `is_gone` if the directory is no longer where it was.

        `trust_inode` is to be false on remote file systems, where an inode number may change without cause.
        """
        try:
            present, opened = os.stat(self._named), os.fstat(self.dir_fd)
        except (FileNotFoundError, NotADirectoryError):
            self.is_gone = True
        except OSError:  # it is there, but the file system is in trouble
            pass
        else:
            is_other = present.st_dev != opened.st_dev or (trust_inode and present.st_ino != opened.st_ino)
            self.is_gone = self.is_gone or is_other

    def _skip_folder(self, folder: Folder, error: OSError) -> None:
        """Keep a folder in `unread`, and report it the first time, unless it no longer exists."""
        if error.errno in GONE or self._is_lost_and_found(folder.path):
            self._unread.pop(folder.path, None)
            return
        known = self._unread.get(folder.path)
        if known is None:
            name = printable(folder.path) or "."
            self._notices.append((logging.ERROR, f"cannot read folder {name}: {error.strerror}; skipped for now"))
        self._unread[folder.path] = folder if known is None or folder.take_all else known

    def _is_lost_and_found(self, path: bytes) -> bool:
        """Return whether a folder is the one that fsck(8) uses at the top of a file system, for root only."""
        parent, _, name = path.rpartition(b"/")
        if name != _LOST_AND_FOUND:
            return False
        top = os.path.join(self.directory, parent)
        try:
            is_mounted = os.stat(top).st_dev != os.stat(os.path.join(top, b"..")).st_dev
            return is_mounted and look(self.dir_fd, path).st_uid == 0
        except OSError:
            return False

    def _was_moved_in(self, path: bytes) -> bool:
        """Return whether a folder was renamed or moved since the run began: its files then came with it.

        A rename changes the folder's ctime and not its mtime. A later change of its content changes both, and then
        only the event that reported the move can tell.
        """
        if path in self._moved_in:
            return True
        try:
            status = look(self.dir_fd, path)
        except OSError:
            return False
        changed, modified = status.st_ctime_ns, status.st_mtime_ns
        began, ended = self._missed
        return changed >= self._since_ns > modified or modified < began <= changed < ended


def _scanned(path: bytes, status: os.stat_result) -> ScannedFile | None:
    """Return what is known of a regular file, None for anything else."""
    if not stat.S_ISREG(status.st_mode):
        return None
    version = FileVersion(path, status.st_size, status.st_mtime_ns)
    return ScannedFile(version, status.st_ctime_ns, status.st_ino, status.st_dev)
