"""Hard links by which somebody may want dfud to read for them what they cannot read themselves.

Where fs.protected_hardlinks is set, Linux lets users link only to files that they can read and write. Where it is
not, nobody knows who made another name of a file, only who can make names in the folders on the way to it.

The number of links alone does not tell: whoever made a name removes it again as soon as the file is open by it.
"""

from __future__ import annotations

import errno
import os
import stat

from dfud.files.beneath import open_beneath

_SETTING = "/proc/sys/fs/protected_hardlinks"
_FOLDER = os.O_PATH | os.O_DIRECTORY
_OPEN_FILES = b"/proc/self/fd"
_LISTED = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_REMOVED = b" (deleted)"  # what the kernel adds to the path of an open file whose name was removed
_REASON = "it has other names (hard links), and whoever made this one may not be allowed to read it"


def count_names(descriptor: int) -> int:
    """Return how many names an open file has, with the one by which it was opened even if that was removed since.

    What is removed before the links are counted is known to be removed after that: a name never comes back.
    """
    count = os.fstat(descriptor).st_nlink
    return count if count != 1 or _is_kernel_strict() or _keeps_its_name(descriptor) else 2


def _keeps_its_name(descriptor: int) -> bool:
    """Return whether the name by which a file was opened is still there, or has been renamed.

    Linux counts one link less before it takes the name away, and keeps the folder locked from before the one until
    after the other (vfs_unlink and vfs_rename in its fs/namei.c). Listing the folder waits for that lock.
    """
    try:
        path = _path_of(descriptor)
        folder_fd = os.open(path.rpartition(b"/")[0] or b"/", _LISTED)
    except OSError as error:
        return error.errno == errno.ENOENT and not os.path.exists(_OPEN_FILES)
    try:
        with os.scandir(folder_fd) as entries:
            next(entries, None)
        folder = _path_of(descriptor).rpartition(b"/")[0] or b"/"  # it may have been renamed into another
        return _path_of(folder_fd) == folder and not _path_of(descriptor).endswith(_REMOVED)
    except OSError:
        return False
    finally:
        os.close(folder_fd)


def _path_of(descriptor: int) -> bytes:
    """Return the path of an open file, followed by " (deleted)" if it was removed; OSError if it is too long."""
    return os.readlink(b"%b/%d" % (_OPEN_FILES, descriptor))


def check_hard_link(descriptor: int, status: os.stat_result, dir_fd: int, path: bytes) -> None:
    """Raise PermissionError if an open file may be a hard link that somebody has made who cannot read it.

    It is at `path` below the open directory `dir_fd`. Another OSError if a folder on the way cannot be opened.
    """
    if status.st_mode & stat.S_IROTH or count_names(descriptor) <= 1 or _is_kernel_strict():
        return
    folder = path
    while folder:
        folder = folder.rpartition(b"/")[0]
        folder_fd = open_beneath(dir_fd, folder or b".", _FOLDER)
        try:
            if _has_other_writers(os.fstat(folder_fd), status):
                raise PermissionError(errno.EPERM, _REASON)
        finally:
            os.close(folder_fd)


def _has_other_writers(folder: os.stat_result, file: os.stat_result) -> bool:
    """Return whether somebody can make names in a folder who can neither read a file nor runs dfud."""
    if folder.st_uid not in (0, file.st_uid, os.geteuid()) or folder.st_mode & stat.S_IWOTH:
        return True
    group_reads = file.st_mode & stat.S_IRGRP and file.st_gid == folder.st_gid
    return bool(folder.st_mode & stat.S_IWGRP and not group_reads)


def _is_kernel_strict() -> bool:
    try:
        with open(_SETTING, "rb") as file:
            return file.read(1) == b"1"
    except OSError:
        return False
