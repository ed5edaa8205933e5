"""Where a log file is, and what may be in its place."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import Protocol

from dfud.files.open_folder import OpenFolder, open_regular
from dfud.files.openat import open_folder

_APPEND = os.O_WRONLY | os.O_APPEND


class LogFile(Protocol):
    """Where the log file is."""

    path: str

    def open(self) -> int:
        """Return the descriptor of the file, which is created if necessary; OSError if that fails."""

    def stat(self) -> os.stat_result | None:
        """Return the status of what is at the path now, or None; OSError if that cannot be found out."""

    def folder(self) -> contextlib.AbstractContextManager[tuple[int, str]]:
        """Open the folder for a while; return its descriptor and the name of the file in it, which is no link."""


class ChosenFile:
    """A log file of the user's choice, which may be a link or a device."""

    def __init__(self, path: str) -> None:
        """Use the file at `path`."""
        self.path = path

    def open(self) -> int:
        """Open the file."""
        return os.open(self.path, _APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)

    def stat(self) -> os.stat_result | None:
        """Follow links, as `open` does."""
        try:
            return os.stat(self.path)
        except FileNotFoundError:
            return None

    @contextlib.contextmanager
    def folder(self) -> Iterator[tuple[int, str]]:
        """Open the folder in which the file itself is, whatever links lead there."""
        folder, name = os.path.split(os.path.realpath(self.path))
        folder_fd = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            yield folder_fd, name
        finally:
            os.close(folder_fd)


class FileBelow:
    """A log file of the user's choice below the directory, where others may have put something in its place."""

    def __init__(self, directory: str, path: str) -> None:
        """Use the file at `path`, relative to `directory`."""
        self.path = os.path.join(directory, path)
        self._directory = directory
        self._folder, self._name = os.path.split(path)

    def open(self) -> int:
        """Open the file, if it is one."""
        with self.folder() as (folder_fd, name):
            return open_regular(name, _APPEND | os.O_CREAT, folder_fd)

    def stat(self) -> os.stat_result | None:
        """Follow no link."""
        try:
            with self.folder() as (folder_fd, name):
                return os.stat(name, dir_fd=folder_fd, follow_symlinks=False)
        except FileNotFoundError:
            return None

    @contextlib.contextmanager
    def folder(self) -> Iterator[tuple[int, str]]:
        """Open the folder without following links below the directory."""
        dir_fd = os.open(self._directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            folder_fd = open_folder(dir_fd, os.fsencode(self._folder))
        finally:
            os.close(dir_fd)
        try:
            yield folder_fd, self._name
        finally:
            os.close(folder_fd)


class FileInLogs:
    """A log file in LOGS, where others may have put something in its place."""

    def __init__(self, folder: OpenFolder, path: str) -> None:
        """Use the file at `path` in `folder`."""
        self.path = path
        self._folder = folder

    def open(self) -> int:
        """Open the file, if it is one."""
        return self._folder.open_in_place(self.path, _APPEND)

    def stat(self) -> os.stat_result | None:
        """Follow no link."""
        return self._folder.stat(self.path)

    @contextlib.contextmanager
    def folder(self) -> Iterator[tuple[int, str]]:
        """Use LOGS as it is open."""
        yield self._folder.dir_fd, os.path.basename(self.path)


def choose_log_file(chosen: str | None, default: FileInLogs, directory: str) -> LogFile:
    """Return the file `chosen` (or one in that folder), or `default`.

    No link in `directory` is followed, as others may write into it.
    """
    if not chosen:
        return default
    path = os.path.join(chosen, os.path.basename(default.path)) if os.path.isdir(chosen) else chosen
    below = _path_below(path, directory)
    return ChosenFile(path) if below is None else FileBelow(os.path.abspath(directory), below)


def _path_below(path: str, directory: str) -> str | None:
    """Return a path relative to the directory; None if it does not lie below it."""
    for top in (os.path.abspath(directory), os.path.realpath(directory)):
        relative = os.path.relpath(os.path.abspath(path), top)
        if relative.split(os.sep)[0] not in (os.pardir, os.curdir):
            return relative
    return None
