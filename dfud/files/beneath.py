"""Opening a file below an open directory without following any link, neither on the way to it nor in its place.

`os.open` with O_NOFOLLOW refuses only a link in the file's own place: whoever can replace a folder on the way by a
link would have it open any file of the system. openat2(2) (Linux 5.6) refuses both in one system call; where it is
missing or cannot tell, the path is opened component by component.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct

_OPENAT2 = 437  # the same on every architecture but Alpha, which has nothing at this number
_RESOLVE = 0x02 | 0x04 | 0x08  # RESOLVE_NO_MAGICLINKS, RESOLVE_NO_SYMLINKS, RESOLVE_BENEATH
_HOW = "=QQQ"  # struct open_how: flags, mode, resolve
_HOW_BYTES = struct.calcsize(_HOW)

# Untyped, because ctypes takes 0.6 us longer to convert the arguments to declared types.
_syscall = ctypes.CDLL(None, use_errno=True).syscall

_NO_LINK = os.O_NOFOLLOW | os.O_CLOEXEC
_FOLDER = os.O_PATH | os.O_DIRECTORY | _NO_LINK
_UNDECIDED = (
    errno.ENOSYS,  # an older kernel
    errno.EPERM,  # a seccomp filter that does not know the call, as in older containers
    errno.EXDEV,  # a folder was moved away meanwhile; or the path leads out of the directory
    errno.EAGAIN,  # another program has a lease on the file; or a rename at the wrong moment
    errno.EINTR,
    errno.ENAMETOOLONG,  # the whole path is longer than PATH_MAX
)
_hows: dict[int, bytes] = {}  # by flags: each as the kernel reads it


def open_beneath(dir_fd: int, path: bytes, flags: int) -> int:
    """Open `path`, relative to the open directory `dir_fd`, following no link; return the descriptor.

    The path may be of any length, and lead through mounts, but not out of the directory. `flags` are those of
    `os.open`; O_CREAT is not supported. Raises OSError: ELOOP or ENOTDIR if there is a link, BlockingIOError if
    O_NONBLOCK is set and another program has a lease on the file.
    """
    if 47 not in path and path != b"..":  # a "/"; an integer is found five times faster than bytes are
        return os.open(path, flags | _NO_LINK, dir_fd=dir_fd)
    if 0 in path:
        raise ValueError("embedded null byte")  # as `os.open` does; ctypes would cut the path there
    try:
        how = _hows[flags]
    except KeyError:
        how = _hows[flags] = struct.pack(_HOW, flags | _NO_LINK, 0, _RESOLVE)
    descriptor: int = _syscall(_OPENAT2, dir_fd, path, how, _HOW_BYTES)
    if descriptor >= 0:
        return descriptor
    code = ctypes.get_errno()
    if code in _UNDECIDED:
        return _open_by_components(dir_fd, path, flags)
    raise OSError(code, os.strerror(code))


def _open_by_components(dir_fd: int, path: bytes, flags: int) -> int:
    """Do as `open_beneath` does, with a system call for each component of the path."""
    names = [name for name in path.split(b"/") if name not in (b"", b".")]
    if path.startswith(b"/") or b".." in names or not names:
        raise OSError(errno.EXDEV, "the path leads out of the directory")
    folder_fd = dir_fd
    try:
        for name in names[:-1]:
            next_fd = os.open(name, _FOLDER, dir_fd=folder_fd)
            if folder_fd != dir_fd:
                os.close(folder_fd)
            folder_fd = next_fd
        return os.open(names[-1], flags | _NO_LINK, dir_fd=folder_fd)
    finally:
        if folder_fd != dir_fd:
            os.close(folder_fd)
