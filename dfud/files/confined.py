"""The files below one directory, reached name by name so that nothing outside of it is ever touched."""

from __future__ import annotations

import contextlib
import os
import stat

from dfud.core.names import LOGS

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_MAX_OPEN = 64  # folders


class ConfinedTree:
    """Responsible for never leaving `directory`: no link is followed on the way to a file, or at it.

    Folders are kept open for a while, until `forget`: a folder that is renamed meanwhile is still the one meant.
    """

    def __init__(self, directory: str | bytes) -> None:
        """Open the directory itself, links on the way to it included; OSError if that fails."""
        self.descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._open: dict[bytes, int] = {}

    def close(self) -> None:
        self.forget()
        os.close(self.descriptor)

    def forget(self) -> None:
        """Let go of all open folders."""
        for descriptor in self._open.values():
            os.close(descriptor)
        self._open.clear()

    def folder(self, path: bytes, make: bool = False, logs: bool = False) -> int:
        """Return the descriptor of a folder, valid until the next call; b"" is the directory itself.

        `make` makes what is not there, `logs` lets LOGS be meant. OSError (ENOTDIR, ELOOP, …)
        where something else is in the way.
        """
        if not path:
            return self.descriptor
        known = self._open.get(path)
        if known is not None:
            return known
        parent, _, name = path.rpartition(b"/")
        within = self.folder(parent, make)
        if make:
            try:
                descriptor = os.open(name, _FOLDER, dir_fd=within)
            except FileNotFoundError:
                with contextlib.suppress(FileExistsError):  # another of our processes was quicker
                    os.mkdir(name, dir_fd=within)
                descriptor = os.open(name, _FOLDER, dir_fd=within)
        else:
            descriptor = os.open(name, _FOLDER, dir_fd=within)
        if not parent and name.lower() == LOGS.lower() and not logs:
            self._refuse_logs(descriptor)
        if len(self._open) >= _MAX_OPEN:
            oldest = next(iter(self._open))
            os.close(self._open.pop(oldest))
        self._open[path] = descriptor
        return descriptor

    def _refuse_logs(self, descriptor: int) -> None:
        """Where the case of letters does not count, LOGS has other names."""
        try:
            is_logs = os.path.samestat(os.fstat(descriptor), os.stat(LOGS, dir_fd=self.descriptor))
        except FileNotFoundError:
            return
        if is_logs:
            os.close(descriptor)
            raise PermissionError(1, "it lies in LOGS")

    def look(self, path: bytes) -> os.stat_result | None:
        """Return the status of the regular file at `path`, or None if there is none that we can reach."""
        folder, _, name = path.rpartition(b"/")
        try:
            found = os.stat(name, dir_fd=self.folder(folder), follow_symlinks=False)
        except OSError:
            return None
        return found if stat.S_ISREG(found.st_mode) else None

    def open(self, path: bytes) -> int:
        """Open a regular file to read it; OSError if there is none."""
        folder, _, name = path.rpartition(b"/")
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        descriptor = os.open(name, flags, dir_fd=self.folder(folder))
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise FileNotFoundError(2, "it is no regular file")
        return descriptor

    def place(self, name: str, within: int, path: bytes) -> None:
        """Move the file `name` of the folder `within` to `path`, in the place of what is there; OSError if not."""
        folder, _, target = path.rpartition(b"/")
        try:
            os.rename(name, target, src_dir_fd=within, dst_dir_fd=self.folder(folder, make=True))
        except FileNotFoundError:  # the folder was removed while we had it open
            self.forget()
            os.rename(name, target, src_dir_fd=within, dst_dir_fd=self.folder(folder, make=True))
