"""Which links to files are followed: those that lead to a place below the directory, and on request all others.

A directory may be writable by others, who must not have dfud read for them what they cannot read themselves. What
a link leads to is opened once, its place is looked up by the kernel, and what is used is what was looked up: it
does not matter what the link, or any folder, is replaced by meanwhile.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from typing import NamedTuple

from dfud.core.names import LOGS
from dfud.files.hard_links import check_hard_link


class LinkPolicy(NamedTuple):
    """Which links to files are followed. None leads into LOGS."""

    follow_links: bool = False  # also those that lead out of the directory
    logs: tuple[int, int] = (0, 0)  # device and inode of LOGS, if it is not the one in the directory


class LinkRefusedError(OSError):
    """A link is not followed. Its text says why; its errno is ELOOP."""

    def __init__(self, reason: str, leads_to_folder: bool = False) -> None:
        """`reason` continues "FILE not delivered: "; `leads_to_folder` is known unless access is denied."""
        super().__init__(errno.ELOOP, reason)
        self.leads_to_folder = leads_to_folder


class LinkLeavesDirectoryError(LinkRefusedError):
    """A link leads out of the directory."""


def open_target(folder_fd: int, name: bytes, dir_fd: int, links: LinkPolicy) -> int:
    """Return an O_PATH descriptor of what `name` in the open folder leads to, for `os.fstat`.

    `dir_fd` is the directory that is uploaded. Raises LinkRefusedError if the link is not to be followed, and
    another OSError if it leads nowhere.
    """
    try:
        target_fd = os.open(name, os.O_PATH | os.O_CLOEXEC, dir_fd=folder_fd)
    except PermissionError:
        raise LinkRefusedError("it is a link to a place that cannot be accessed") from None
    try:
        _check(target_fd, dir_fd, links)
    except BaseException:
        os.close(target_fd)
        raise
    return target_fd


def open_linked_file(folder_fd: int, name: bytes, dir_fd: int, links: LinkPolicy, flags: int) -> int:
    """Open the regular file that `name` in the open folder leads to, and return its descriptor.

    Raises what `open_target` raises, and FileNotFoundError if there is no regular file. Nothing else is opened:
    opening a device may set it going.
    """
    target_fd = open_target(folder_fd, name, dir_fd, links)
    try:
        if not stat.S_ISREG(os.fstat(target_fd).st_mode):
            raise FileNotFoundError(errno.ENOENT, "it is a link that does not lead to a regular file")
        return os.open(b"/proc/self/fd/%d" % target_fd, flags | os.O_CLOEXEC)
    finally:
        os.close(target_fd)


def _check(target_fd: int, dir_fd: int, links: LinkPolicy) -> None:
    """Raise LinkRefusedError if what a link leads to is not to be used."""
    status = os.fstat(target_fd)
    is_folder = stat.S_ISDIR(status.st_mode)
    top, place = _real_path(dir_fd), _real_path(target_fd)
    if not place.startswith(b"/"):  # a pipe, a deleted mount, …
        raise LinkRefusedError("it is a link to something that has no path", is_folder)
    is_below = place.startswith(top.rstrip(b"/") + b"/") and _is_at(top, dir_fd)
    if not is_below and not links.follow_links:
        raise LinkLeavesDirectoryError("it is a link that leads out of the directory", is_folder)
    if is_below and not is_folder:
        check_hard_link(target_fd, status, dir_fd, place[len(top) :].lstrip(b"/"))
    logs = {links.logs, *_logs_in(dir_fd)}
    folders = [_identity(os.stat(folder)) for folder in _folders_of(place, top if is_below else b"")]
    if not logs.isdisjoint([*folders, _identity(status)]):
        raise LinkRefusedError("it is a link that leads into LOGS", is_folder)


def _real_path(descriptor: int) -> bytes:
    """Return the path of an open file that has no links in it."""
    try:
        return os.readlink(b"/proc/self/fd/%d" % descriptor)
    except OSError as error:  # no /proc, or a path that is longer than PATH_MAX
        raise LinkRefusedError(f"it is a link to a place that cannot be determined: {error.strerror}") from None


def _is_at(path: bytes, dir_fd: int) -> bool:
    """Return whether the open directory is at `path`: once unmounted, its path may be that of another."""
    try:
        return os.path.samestat(os.stat(path), os.fstat(dir_fd))
    except OSError:
        return False


def _logs_in(dir_fd: int) -> list[tuple[int, int]]:
    """Return device and inode of the folder LOGS in the directory; nothing if there is none."""
    try:
        return [_identity(os.stat(LOGS, dir_fd=dir_fd, follow_symlinks=False))]
    except OSError:
        return []


def _folders_of(place: bytes, top: bytes) -> Iterator[bytes]:
    """Yield the folders on the way to `place`, those below `top` only."""
    while len(place) > len(top) + 1:
        place = os.path.dirname(place)
        if len(place) > len(top):
            yield place


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino
