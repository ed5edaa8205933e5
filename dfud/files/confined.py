"""The files below one directory, opened name by name so that nothing outside of it is ever touched."""

from __future__ import annotations

import contextlib
import errno
import os
import stat

from dfud.core.names import LOGS
from dfud.files.hard_links import check_hard_link
from dfud.files.links import LinkPolicy, open_linked_file
from dfud.files.openat import look_in

_FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_MAX_OPEN_FOLDERS = 64


class ConfinedTree:
    """Responsible for never leaving a directory: it follows no link, neither on the way to a file nor at the file.

    With a `LinkPolicy`, a link in a file's own place is followed for reading, as an upload does. Folders are kept
    open until `close_folders`: a folder that is renamed meanwhile is still the one meant.
    """

    def __init__(self, directory: str | bytes, links: LinkPolicy | None = None, dir_fd: int | None = None) -> None:
        """Open the directory itself, following links on the way to it; OSError if that fails.

        A relative path is one below the folder that is open as `dir_fd`, such as "." for that folder.
        """
        self._links = links
        self.dir_fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=dir_fd)
        self._open: dict[bytes, int] = {}

    def close(self) -> None:
        """Close the directory and every folder below it."""
        self.close_folders()
        os.close(self.dir_fd)

    def close_folders(self) -> None:
        """Close every folder below the directory; it is opened anew, by its path, when it is needed."""
        for folder_fd in self._open.values():
            os.close(folder_fd)
        self._open.clear()

    def open_folder(self, path: bytes, make: bool = False, logs: bool = False) -> int:
        """Return the descriptor of a folder, valid until the next call; b"" is the directory itself.

        `make` creates missing folders, `logs` permits the folder LOGS. Raises OSError (ENOTDIR, ELOOP, …) if
        something else is in the way.
        """
        known = self._open.get(path)
        if known is not None:
            return known
        # Name by name from the nearest folder that is open; the path may be longer than the kernel takes at once.
        start = len(path)
        while start > 0 and path[:start] not in self._open:
            start = max(0, path.rfind(b"/", 0, start))
        folder_fd = self._open[path[:start]] if start else self.dir_fd
        while start < len(path):
            parent = path[:start]
            end = path.find(b"/", start + 1)
            start = len(path) if end < 0 else end
            folder_fd = self._open_next(folder_fd, parent, path[:start], make, logs and start == len(path))
        return folder_fd

    def _open_next(self, parent_fd: int, parent: bytes, path: bytes, make: bool, logs: bool) -> int:
        """Open the folder at `path`, which lies in the open folder `parent`, and keep it open."""
        name = path[len(parent) :].lstrip(b"/")
        try:
            folder_fd = os.open(name, _FOLDER_FLAGS, dir_fd=parent_fd)
        except FileNotFoundError:
            if not make:
                raise
            with contextlib.suppress(FileExistsError):  # another worker process was quicker
                os.mkdir(name, dir_fd=parent_fd)
            folder_fd = os.open(name, _FOLDER_FLAGS, dir_fd=parent_fd)
        if not parent and not logs and (not name.isascii() or name.lower() == LOGS.lower()):
            self._refuse_logs(folder_fd)
        if len(self._open) >= _MAX_OPEN_FOLDERS:
            oldest = next(iter(self._open))
            os.close(self._open.pop(oldest))
        self._open[path] = folder_fd
        return folder_fd

    def _refuse_logs(self, folder_fd: int) -> None:
        """Close a folder that is LOGS in another spelling, as file systems may allow; raise PermissionError."""
        try:
            is_logs = os.path.samestat(os.fstat(folder_fd), os.stat(LOGS, dir_fd=self.dir_fd))
        except FileNotFoundError:
            return
        if is_logs:
            os.close(folder_fd)
            raise PermissionError(errno.EPERM, "it lies in LOGS")

    def stat_file(self, path: bytes) -> os.stat_result | None:
        """Return the status of the regular file at `path`, or None if there is none that can be accessed."""
        folder, _, name = path.rpartition(b"/")
        try:
            status = look_in(self.open_folder(folder), name, self.dir_fd, self._links)
        except OSError:
            return None
        return status if stat.S_ISREG(status.st_mode) else None

    def open(self, path: bytes) -> int:
        """Open a regular file for reading and return its descriptor; OSError if there is none."""
        folder, _, name = path.rpartition(b"/")
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        folder_fd = self.open_folder(folder)
        try:
            descriptor = os.open(name, flags, dir_fd=folder_fd)
        except OSError as error:
            if self._links is None or error.errno != errno.ELOOP:
                raise
            return open_linked_file(folder_fd, name, self.dir_fd, self._links, flags & ~os.O_NOFOLLOW)
        status = os.fstat(descriptor)
        try:
            if not stat.S_ISREG(status.st_mode):
                raise FileNotFoundError(errno.ENOENT, "not a regular file")
            check_hard_link(descriptor, status, self.dir_fd, path)
        except OSError:
            os.close(descriptor)
            raise
        return descriptor

    def place(self, name: str, dir_fd: int, path: bytes) -> None:
        """Move the file `name` in the folder `dir_fd` to `path`, replacing what is there; OSError on failure."""
        folder, _, target = path.rpartition(b"/")
        try:
            os.rename(name, target, src_dir_fd=dir_fd, dst_dir_fd=self.open_folder(folder, make=True))
        except FileNotFoundError:  # the folder was removed while it was open
            self.close_folders()
            os.rename(name, target, src_dir_fd=dir_fd, dst_dir_fd=self.open_folder(folder, make=True))
