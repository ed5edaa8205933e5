"""Renaming that replaces nothing, or exchanges two names, which Python does not offer: renameat2(2)."""

from __future__ import annotations

import ctypes
import errno
import os

_NOREPLACE, _EXCHANGE = 1, 2
_UNSUPPORTED = (errno.EINVAL, errno.ENOSYS)  # by the file system, or by the kernel
_libc = ctypes.CDLL(None, use_errno=True)


def rename_to_new(src_fd: int, name: bytes, dst_fd: int, new: bytes) -> None:
    """Rename `name` in one open folder to `new` in another; FileExistsError if there is anything at `new`.

    Where the file system cannot do that in one step, such as NFS, the file gets its new name before it loses the
    old one; the caller has to be the only one who knows the old one. Raises another OSError if that fails, too.
    """
    code = _renameat2(src_fd, name, dst_fd, new)
    if code in _UNSUPPORTED:
        os.link(name, new, src_dir_fd=src_fd, dst_dir_fd=dst_fd, follow_symlinks=False)
        os.unlink(name, dir_fd=src_fd)
    elif code:
        raise OSError(code, os.strerror(code), os.fsdecode(new))


def rename_aside(dir_fd: int, name: bytes, private: bytes) -> None:
    """Rename `name` in an open folder to a name that only dfud uses; FileExistsError if it is taken.

    Whatever is at `name` is renamed, in one step on every file system. Raises another OSError if that fails, or if
    `rename_to_new` could not give it its name back.
    """
    code = _renameat2(dir_fd, name, dir_fd, private)
    if code in _UNSUPPORTED:
        os.link(name, private, src_dir_fd=dir_fd, dst_dir_fd=dir_fd, follow_symlinks=False)
        os.unlink(private, dir_fd=dir_fd)  # two names of one file are not renamed
        os.rename(name, private, src_dir_fd=dir_fd, dst_dir_fd=dir_fd)
    elif code:
        raise OSError(code, os.strerror(code), os.fsdecode(private))


def exchange(src_fd: int, name: bytes, dst_fd: int, other: bytes) -> bool:
    """Exchange `name` in one open folder and `other` in another, whatever they are, in one step.

    Return False where the file system cannot do that, such as NFS. Raises OSError if it fails.
    """
    code = _renameat2(src_fd, name, dst_fd, other, _EXCHANGE)
    if code and code not in _UNSUPPORTED:
        raise OSError(code, os.strerror(code), os.fsdecode(other))
    return code == 0


def _renameat2(src_fd: int, name: bytes, dst_fd: int, new: bytes, flags: int = _NOREPLACE) -> int:
    """Return 0, or the number of the error."""
    if not hasattr(_libc, "renameat2"):
        return errno.ENOSYS
    if 0 in name or 0 in new:
        raise ValueError("embedded null byte")  # ctypes would cut the name there
    return ctypes.get_errno() if _libc.renameat2(src_fd, name, dst_fd, new, flags) else 0
