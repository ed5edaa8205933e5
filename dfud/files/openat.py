"""Files below an open directory: looked at and opened without following links that others may have planted.

No folder on the way to a file may be a link, whoever replaced it and when. A link in a file's own place is
followed as `LinkPolicy` says. Paths may be of any length, and nothing blocks.

`look_at` is for an item of an open folder, as a scan has it, and `look_in` for a name in it: each costs one system
call. `look` is for a path, as an event gives it, and costs three. Without a `LinkPolicy` links are looked at.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat

from dfud.files.beneath import open_beneath
from dfud.files.hard_links import check_hard_link
from dfud.files.links import LinkPolicy, open_linked_file, open_target

READ = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY  # nothing blocks
_IN_THE_WAY = (errno.ELOOP, errno.ENOTDIR)

DEFAULT_LINKS = LinkPolicy()


def open_folder(dir_fd: int, path: bytes, flags: int = os.O_PATH) -> int:
    """Open the folder at `path` below the open directory `dir_fd`, not through a link; b"" is that directory.

    Raises NotADirectoryError if the folder, or one on the way to it, is a link or no folder.
    """
    try:
        return open_beneath(dir_fd, path or b".", flags | os.O_DIRECTORY)
    except OSError as error:
        if error.errno not in _IN_THE_WAY:
            raise
        raise NotADirectoryError(errno.ENOTDIR, "a folder in its path is now a link or a file") from None


def look(dir_fd: int, path: bytes, links: LinkPolicy | None = None) -> os.stat_result:
    """Return the status of `path` below the open directory `dir_fd`, as `look_in` does."""
    folder, _, name = path.rpartition(b"/")
    if not folder:
        return look_in(dir_fd, name, dir_fd, links)
    folder_fd = open_folder(dir_fd, folder)
    try:
        return look_in(folder_fd, name, dir_fd, links)
    finally:
        os.close(folder_fd)


def look_in(folder_fd: int, name: bytes, dir_fd: int, links: LinkPolicy | None = None) -> os.stat_result:
    """Return the status of `name` in an open folder below the open directory `dir_fd`.

    With `links`, that of what a link leads to. Raises LinkRefusedError if a link is not to be followed, and
    another OSError (FileNotFoundError, …) if there is nothing.
    """
    status = os.stat(name, dir_fd=folder_fd, follow_symlinks=False)
    if links is None or not stat.S_ISLNK(status.st_mode):
        return status
    target_fd = open_target(folder_fd, name, dir_fd, links)
    try:
        return os.fstat(target_fd)
    finally:
        os.close(target_fd)


def look_at(item: os.DirEntry[str], folder_fd: int, name: bytes, dir_fd: int, links: LinkPolicy) -> os.stat_result:
    """Do as `look_in` does, for an item that was listed; at no cost if somebody has looked at it before."""
    status = item.stat(follow_symlinks=False)
    return look_in(folder_fd, name, dir_fd, links) if stat.S_ISLNK(status.st_mode) else status


def open_regular_file(path: bytes, dir_fd: int, links: LinkPolicy = DEFAULT_LINKS) -> tuple[int, os.stat_result]:
    """Open a regular file below the open directory `dir_fd`, and return its descriptor and status.

    The caller closes it. The open never blocks, even if a FIFO has replaced the file: BlockingIOError means that
    another program has a lease on the file, and is about to give it back. Raises LinkRefusedError if it is a link
    that is not to be followed, and another OSError if there is no regular file.
    """
    try:
        descriptor = open_beneath(dir_fd, path, READ)
    except OSError as error:
        if error.errno not in _IN_THE_WAY:
            raise
        descriptor = _open_linked_file(path, dir_fd, links)
        return descriptor, os.fstat(descriptor)
    try:
        return descriptor, regular_status(descriptor, dir_fd, path)
    except OSError:
        os.close(descriptor)
        raise


def regular_status(descriptor: int, dir_fd: int, path: bytes) -> os.stat_result:
    """Return the status of what was opened at `path`; OSError if it is no regular file, or not for everybody."""
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        raise FileNotFoundError(errno.ENOENT, "no longer a regular file")
    check_hard_link(descriptor, status, dir_fd, path)
    return status


def _open_linked_file(path: bytes, dir_fd: int, links: LinkPolicy) -> int:
    """Open what the link at `path` leads to."""
    folder, _, name = path.rpartition(b"/")
    folder_fd = open_folder(dir_fd, folder)
    try:
        return open_linked_file(folder_fd, name, dir_fd, links, READ)
    finally:
        os.close(folder_fd)


def is_being_written(descriptor: int, closed_next: bool = False) -> bool | None:
    """Return whether any process has the open file open for writing; None if the kernel cannot say.

    The kernel grants a read lease (fcntl(2), F_SETLEASE) only on a file that has no writers, to its owner, on a
    local file system. The lease is released at once, or by the caller's closing the file if that comes next
    (`closed_next`). A process that opens the file for writing in the meantime is delayed by microseconds, and the
    kernel sends the caller's process a SIGIO, which it must ignore.
    """
    try:
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    except OSError as error:
        return True if error.errno == errno.EAGAIN else None
    if not closed_next:
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    return False
