"""The files of one open folder, in which others may be able to plant links, FIFOs and hard links.

Everything is opened, renamed and removed relative to the descriptor of the folder, and no link is followed:
whatever lies in the folder, nothing outside of it is read or written.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import tempfile
from collections.abc import Iterable, Iterator
from typing import BinaryIO

from dfud.files.atomic import create_beside, replace_file
from dfud.files.hard_links import count_names

_FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_FILE_FLAGS = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_NEW_FILE = os.O_CREAT | os.O_EXCL
_NAMELESS_FLAGS, _NAMELESS_MODE = os.O_TMPFILE | os.O_RDWR | os.O_APPEND | os.O_CLOEXEC, 0o600
_FOLDER_MODE, _FILE_MODE = 0o755, 0o644  # whatever the umask; a stricter one stays stricter
_NO_FOLDER = "it is a link or a file, not a folder; remove it"
_LINK = "it is a link, which is not followed here; remove it"
_NOT_REGULAR = "it is not a regular file; remove it"
_HARD_LINKED = "it has other names (hard links), so that others would change with it; remove it"


class OpenFolder:
    """Responsible for never leaving the folder `name` in the directory `parent`.

    Both are opened when they are first needed, and stay open. Files are given by their paths, for the messages;
    only the last part of a path counts. An OSError has the path.
    """

    def __init__(self, parent: str, name: str) -> None:
        """Use the folder, whether it exists or not."""
        self.path = os.path.join(parent, name)
        self._parent = parent
        self._name = name
        self._parent_fd = -1
        self._dir_fd = -1

    def close(self) -> None:
        """Close the folder; it is opened again when it is needed."""
        for descriptor in (self._parent_fd, self._dir_fd):
            if descriptor >= 0:
                os.close(descriptor)
        self._parent_fd = self._dir_fd = -1

    def __del__(self) -> None:
        """Close the folder."""
        self.close()

    # -- the folder itself

    @property
    def parent_fd(self) -> int:
        """The descriptor of the directory that the folder is in; OSError if it cannot be opened."""
        if self._parent_fd < 0:
            self._parent_fd = os.open(self._parent, _FOLDER_FLAGS)
        return self._parent_fd

    @property
    def dir_fd(self) -> int:
        """The descriptor of the folder; OSError if it cannot be opened, or is a link."""
        if self._dir_fd < 0:
            self._dir_fd = self._open()
        return self._dir_fd

    def _open(self) -> int:
        return _open_folder(self._name, self.parent_fd, self.path)

    def make(self) -> None:
        """Make the folder unless it exists; OSError if that fails, or if something else is in its place."""
        with _named(self.path), contextlib.suppress(FileExistsError):
            os.mkdir(self._name, _FOLDER_MODE, dir_fd=self.parent_fd)
            os.fsync(self.parent_fd)
        self.reopen()
        _close_to_others(self.dir_fd)

    def remove(self) -> None:
        """Remove the folder, which must be empty; OSError if that fails."""
        with _named(self.path):
            os.rmdir(self._name, dir_fd=self.parent_fd)

    @property
    def is_made(self) -> bool:
        """Whether there is anything at the path, be it a link; OSError if that cannot be found out."""
        return self._stat(self.parent_fd, self._name) is not None

    def reopen(self) -> bool:
        """Use the folder that is at the path now; return whether it is another one. OSError if there is none."""
        if self._dir_fd < 0:
            self._dir_fd = self._open()
            return True
        if self.is_in_place():
            return False
        new = self._open()
        os.close(self._dir_fd)
        self._dir_fd = new
        return True

    def is_in_place(self) -> bool:
        """Return whether the open folder is still the one at its path."""
        status = self._stat(self.parent_fd, self._name)
        return status is not None and os.path.samestat(status, os.fstat(self.dir_fd))

    @property
    def parent_is_removed(self) -> bool:
        """Whether the directory itself was removed, so that the folder cannot be made again."""
        return os.fstat(self.parent_fd).st_nlink == 0

    @property
    def identity(self) -> tuple[int, int]:
        """The device and the inode of the folder."""
        status = os.fstat(self.dir_fd)
        return status.st_dev, status.st_ino

    @property
    def ignores_case(self) -> bool:
        """Whether the file system takes names that differ only in case for the same one."""
        other = self._stat(self.parent_fd, self._name.swapcase())
        return other is not None and os.path.samestat(other, os.fstat(self.dir_fd))

    @property
    def weakness(self) -> str:
        """Who else may write into the folder, and what to do about it; "" for nobody."""
        status, owner = os.fstat(self.dir_fd), os.fstat(self.parent_fd).st_uid
        if status.st_uid not in (0, os.geteuid(), owner):
            return f"{self.path} belongs to user {status.st_uid}, who can change its tables: chown it"
        writers = (("its group", stat.S_IWGRP), ("others", stat.S_IWOTH))
        others = " and ".join(who for who, bit in writers if status.st_mode & bit)
        if others and not status.st_mode & stat.S_ISVTX:
            return f"{self.path} can be written by {others}, who can change its tables: chmod go-w it"
        return ""

    @property
    def free_bytes(self) -> int:
        """How much an ordinary user can still write into the folder; OSError if that cannot be found out."""
        room = os.fstatvfs(self.dir_fd)
        return room.f_bavail * room.f_frsize

    # -- the files in it

    def file(self, name: str) -> str:
        """Return the path of a file in the folder."""
        return os.path.join(self.path, name)

    def names(self) -> list[str]:
        """List what is in the folder; OSError if it cannot be listed."""
        with _named(self.path):
            return os.listdir(self.dir_fd)

    def open_folder_in(self, name: str) -> int:
        """Return the descriptor of a folder in this one, and make it unless it exists; OSError if that fails."""
        with _named(self.file(name)), contextlib.suppress(FileExistsError):
            os.mkdir(name, _FOLDER_MODE, dir_fd=self.dir_fd)
        return _open_folder(name, self.dir_fd, self.file(name))

    def stat(self, path: str) -> os.stat_result | None:
        """Return the status of what is at `path`, even if it is a link; None if there is nothing."""
        with _named(path):
            return self._stat(self.dir_fd, os.path.basename(path))

    @staticmethod
    def _stat(dir_fd: int, name: str) -> os.stat_result | None:
        try:
            return os.stat(name, dir_fd=dir_fd, follow_symlinks=False)
        except FileNotFoundError:
            return None

    def exists(self, path: str) -> bool:
        """Return whether anything is at `path`, be it a link or a folder."""
        return self.stat(path) is not None

    def open_to_read(self, path: str) -> BinaryIO:
        """Open a regular file; OSError if there is none, which never blocks."""
        with _named(path):
            descriptor = open_regular(os.path.basename(path), os.O_RDONLY, self.dir_fd)
        is_everyones = os.fstat(descriptor).st_mode & stat.S_IROTH
        if not is_everyones and self._can_be_linked_into and count_names(descriptor) > 1:
            os.close(descriptor)  # another name of a file that is not everyone's to read
            raise OSError(errno.EMLINK, _HARD_LINKED, path)
        return open(descriptor, "rb")

    def open_in_place(self, path: str, flags: int) -> int:
        """Open a regular file to write into it, which is made if it does not exist; return its descriptor.

        Raises OSError if it has other names: what they are, and who else uses them, nobody knows.
        """
        with _named(path):
            descriptor = open_regular(os.path.basename(path), flags | os.O_CREAT, self.dir_fd)
        _close_to_others(descriptor)
        return descriptor

    def open_beside(self, path: str) -> tuple[int, str]:
        """Make a temporary file for `path`; return its descriptor, to read and write, and its own path."""
        with _named(path):
            descriptor, name = create_beside(self.dir_fd, os.path.basename(path), os.O_RDWR)
        return descriptor, self.file(name)

    @property
    def has_nameless_files(self) -> bool:
        """Whether an open file outlives its name; network and FUSE file systems only pretend that."""
        try:
            os.close(os.open(".", _NAMELESS_FLAGS, _NAMELESS_MODE, dir_fd=self.dir_fd))
        except OSError:
            return False
        return True

    def open_nameless(self) -> int:
        """Return the descriptor of a new file, to read and append, that has no name, so that nobody can remove it.

        It is in the folder, or where temporary files are if the file system has no such files. OSError if neither.
        """
        try:
            return os.open(".", _NAMELESS_FLAGS, _NAMELESS_MODE, dir_fd=self.dir_fd)
        except OSError:
            return os.open(tempfile.gettempdir(), _NAMELESS_FLAGS, _NAMELESS_MODE)

    @property
    def _can_be_linked_into(self) -> bool:
        status = os.fstat(self.dir_fd)
        return status.st_uid != os.geteuid() or bool(status.st_mode & (stat.S_IWGRP | stat.S_IWOTH))

    def replace(self, path: str, parts: Iterable[bytes], durable: bool = True) -> None:
        """Replace a file, and sync it if `durable`; after an OSError it is the old one or the new one."""
        with _named(path):
            replace_file(self.dir_fd, os.path.basename(path), parts, durable)

    def rename(self, old: str, new: str) -> None:
        """Rename a file over another; OSError if that fails."""
        with _named(new):
            os.replace(
                os.path.basename(old), os.path.basename(new), src_dir_fd=self.dir_fd, dst_dir_fd=self.dir_fd
            )

    def rename_to_new(self, old: str, new: str) -> None:
        """Rename a file; FileExistsError if there is anything at `new`, another OSError if that fails.

        For an instant the file may have both names; and where the file system has no hard links, what is made at
        `new` in that instant is replaced.
        """
        with _named(new):
            try:
                os.link(
                    os.path.basename(old),
                    os.path.basename(new),
                    src_dir_fd=self.dir_fd,
                    dst_dir_fd=self.dir_fd,
                    follow_symlinks=False,
                )
            except FileExistsError:
                raise
            except OSError:
                if self.exists(new):
                    raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), new) from None
                self.rename(old, new)
            else:
                self.unlink(old)

    def unlink(self, path: str) -> None:
        """Remove a name; OSError if that fails."""
        with _named(path):
            os.unlink(os.path.basename(path), dir_fd=self.dir_fd)

    def set_times(self, path: str, status: os.stat_result) -> None:
        """Give a file the times of another one."""
        times = (status.st_atime_ns, status.st_mtime_ns)
        os.utime(os.path.basename(path), ns=times, dir_fd=self.dir_fd, follow_symlinks=False)

    def sync(self) -> None:
        """Make the names in the folder durable; OSError if that fails."""
        os.fsync(self.dir_fd)


def _open_folder(name: str, dir_fd: int, path: str) -> int:
    """Open a folder, not through a link; an OSError has its whole path."""
    try:
        return os.open(name, _FOLDER_FLAGS | os.O_NOFOLLOW, dir_fd=dir_fd)
    except OSError as error:
        what = _NO_FOLDER if error.errno in (errno.ENOTDIR, errno.ELOOP) else error.strerror
        raise OSError(error.errno, what, path) from None


def is_same_file(status: os.stat_result, other: os.stat_result) -> bool:
    """Return whether a file that only dfud writes is the one that it was.

    Inodes do not tell: their numbers are used again, and change by themselves on some file systems of FUSE.
    """
    return (status.st_size, status.st_mtime_ns) == (other.st_size, other.st_mtime_ns)


def open_regular(name: str, flags: int, dir_fd: int) -> int:
    """Open a regular file in an open folder; return its descriptor.

    Never blocks, and follows no link. Raises OSError, with a text that says what to do, for anything else, and for
    a file with other names if it is to be written: what they are, and who uses them, nobody knows. What O_EXCL
    creates is regular and nobody else's, whatever names it is given later.
    """
    if flags & _NEW_FILE == _NEW_FILE:
        return os.open(name, flags | _FILE_FLAGS, _FILE_MODE, dir_fd=dir_fd)
    with contextlib.suppress(FileNotFoundError):  # a device is not even opened, as that may have an effect
        _check_regular(os.stat(name, dir_fd=dir_fd, follow_symlinks=False), name)
    descriptor = os.open(name, flags | _FILE_FLAGS, _FILE_MODE, dir_fd=dir_fd)
    try:
        _check_regular(os.fstat(descriptor), name)
        if flags & (os.O_WRONLY | os.O_RDWR) and count_names(descriptor) > 1:
            raise OSError(errno.EMLINK, _HARD_LINKED, name)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _check_regular(status: os.stat_result, name: str) -> None:
    """Raise OSError for anything but a regular file."""
    if stat.S_ISLNK(status.st_mode):
        raise OSError(errno.ELOOP, _LINK, name)
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), name)
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, _NOT_REGULAR, name)


def _close_to_others(descriptor: int) -> None:
    """Let only the owner and the group write to a file or folder of ours, whoever has opened it to all."""
    status = os.fstat(descriptor)
    if status.st_mode & stat.S_IWOTH and status.st_uid == os.geteuid():
        with contextlib.suppress(OSError):  # a file system without modes
            os.fchmod(descriptor, stat.S_IMODE(status.st_mode) & ~stat.S_IWOTH)


@contextlib.contextmanager
def _named(path: str) -> Iterator[None]:
    """Give an OSError the whole path where the kernel got a name; one of another file keeps its own."""
    try:
        yield
    except OSError as error:
        if error.errno is None or "/" in os.fsdecode(error.filename or ""):
            raise
        raise OSError(error.errno, error.strerror, path) from None
