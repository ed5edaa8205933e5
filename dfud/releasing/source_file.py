"""One file that may go, open: whether it is still the one that was found, and whether anybody writes to it."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import time
from collections.abc import Callable

from dfud.files.confined import ConfinedTree
from dfud.files.scan import ScannedFile
from dfud.releasing.content import digest_of
from dfud.releasing.decision import is_settled
from dfud.watch.file_systems import Traits
from dfud.watch.leases import WriteLeases

_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_QUIET_NS = 60_000_000_000  # for which a file must not have changed if the kernel does not say who writes to it

REPLACED = "another file was put in its place"
CHANGED = "it has changed since it was found"


class StaysError(Exception):
    """A file must stay; the text says why."""


class FailedError(StaysError):
    """A file that should have gone could not; the text says why."""


class SourceFile:
    """Responsible for a file in an open folder, and for a read lease on it: nobody can write to it unnoticed."""

    def __init__(self, folder_fd: int, name: bytes, descriptor: int) -> None:
        """Own `descriptor`, and another one of the folder; use `open_source`."""
        self.folder_fd = os.dup(folder_fd)
        self.name = name
        self.descriptor = descriptor
        self.has_lease = False
        self.status = os.fstat(descriptor)

    def close(self) -> None:
        """Close the file, which gives the lease back, and the folder."""
        os.close(self.descriptor)
        os.close(self.folder_fd)

    def take_lease(self, is_local: bool) -> None:
        """Take a read lease, which is given back when the file is closed, if the kernel grants one.

        Raises StaysError if a process has the file open for writing.
        """
        if not is_local:  # other machines may write to it
            return
        try:
            fcntl.fcntl(self.descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        except OSError as error:
            if error.errno == errno.EAGAIN:
                raise StaysError("a program has it open for writing") from None
        else:
            self.has_lease = True

    def check_content(self, digest: bytes) -> None:
        """Read the file; StaysError unless it has this digest and nobody has written to it meanwhile."""
        if digest_of(self.descriptor) != digest:
            raise StaysError("it has other bytes than its row and its receipts, at the same size and time")
        if not _is_same(os.fstat(self.descriptor), self.status):
            raise StaysError("it has changed while it was read")

    def check_renamed(self, private: bytes) -> None:
        """Raise StaysError unless the file is now at `private` in its folder, alone and unchanged.

        Its ctime is that of the renaming now: what was written is seen by size, mtime and the lease.
        """
        now, at_name = os.fstat(self.descriptor), os.stat(private, dir_fd=self.folder_fd, follow_symlinks=False)
        if not os.path.samestat(now, at_name):
            raise StaysError(REPLACED)
        if (now.st_size, now.st_mtime_ns) != (self.status.st_size, self.status.st_mtime_ns):
            raise StaysError(CHANGED)
        if now.st_nlink != 1:
            raise StaysError("it has got another name (a hard link)")
        if self.has_lease and fcntl.fcntl(self.descriptor, fcntl.F_GETLEASE) != fcntl.F_RDLCK:
            raise StaysError("a program is about to write to it")


def open_source(
    tree: ConfinedTree,
    file: ScannedFile,
    leases: WriteLeases,
    traits: Callable[[bytes, int], Traits],
    clock_ns: Callable[[], int] = time.time_ns,
) -> SourceFile:
    """Open the file that was found; StaysError if it is not to go as it is now, OSError if it cannot be opened."""
    folder, _, name = file.version.path.rpartition(b"/")
    folder_fd = tree.open_folder(folder)
    present = os.stat(name, dir_fd=folder_fd, follow_symlinks=False)
    if stat.S_ISLNK(present.st_mode):
        raise StaysError("it is a symbolic link")
    _check_found(present, file)
    if leases.has(present.st_dev, present.st_ino):
        raise StaysError("another program has a write lease on it, as a file server has whose client writes")
    try:
        descriptor = os.open(name, _FLAGS, dir_fd=folder_fd)
    except BlockingIOError:
        raise StaysError("another program has a lease on it") from None
    source = SourceFile(folder_fd, name, descriptor)
    try:
        source.take_lease(traits(file.version.path, present.st_dev).is_local)
        _check_found(source.status, file)
        if not is_settled(source.status.st_ctime_ns, clock_ns()):
            raise StaysError("it has changed just now")
        if not source.has_lease and clock_ns() - source.status.st_ctime_ns < _QUIET_NS:
            raise StaysError("it cannot be known whether anybody writes to it, and it has changed within a minute")
    except BaseException:
        source.close()
        raise
    return source


def _check_found(status: os.stat_result, file: ScannedFile) -> None:
    """Raise StaysError unless this is the status of the file that was found, and of no other name of it."""
    found = ScannedFile(
        file.version._replace(size=status.st_size, mtime_ns=status.st_mtime_ns),
        status.st_ctime_ns,
        status.st_ino,
        status.st_dev,
    )
    if not stat.S_ISREG(status.st_mode) or found != file:
        raise StaysError(CHANGED)
    if status.st_nlink != 1:
        raise StaysError("it has other names (hard links)")


def _is_same(status: os.stat_result, other: os.stat_result) -> bool:
    return (status.st_size, status.st_mtime_ns, status.st_ctime_ns) == (
        other.st_size,
        other.st_mtime_ns,
        other.st_ctime_ns,
    )
