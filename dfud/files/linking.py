"""Giving a file another name, or a copy where it cannot have one."""

from __future__ import annotations

import contextlib
import errno
import os

from dfud.files.confined import ConfinedTree

_NO_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK, errno.EXDEV, errno.ENOSYS, errno.EINVAL)
_BLOCK_BYTES = 1 << 20
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def link_or_copy(source: ConfinedTree, path: bytes, target: ConfinedTree, new: bytes) -> None:
    """Make the file at `path` in one tree appear at `new` in another, where nothing must be; OSError."""
    folder, _, name = path.rpartition(b"/")
    new_folder, _, new_name = new.rpartition(b"/")
    source_fd, target_fd = source.open_folder(folder), target.open_folder(new_folder, make=True)
    try:
        os.link(name, new_name, src_dir_fd=source_fd, dst_dir_fd=target_fd, follow_symlinks=False)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        _copy(source, path, new_name, target_fd)


def _copy(source: ConfinedTree, path: bytes, new: bytes, target_fd: int) -> None:
    """Copy a file with its times and its attributes."""
    with open(source.open(path), "rb", buffering=0) as read:
        with open(os.open(new, _NEW, 0o666, dir_fd=target_fd), "wb", buffering=0) as written:
            while data := read.read(_BLOCK_BYTES):
                view = memoryview(data)
                while view:
                    view = view[written.write(view) :]
            with contextlib.suppress(OSError):  # of a file system that has none
                for name in os.listxattr(read.fileno()):
                    if name.startswith("user."):
                        os.setxattr(written.fileno(), name, os.getxattr(read.fileno(), name))
            status = os.fstat(read.fileno())
            os.utime(written.fileno(), ns=(status.st_atime_ns, status.st_mtime_ns))


def remove_tree(tree: ConfinedTree, path: bytes) -> None:
    """Remove a folder with all that is in it, following no link; OSError if something cannot be removed."""
    folders = [path]
    for folder in folders:  # which grows: nothing recurses
        folder_fd = tree.open_folder(folder)
        with os.scandir(folder_fd) as entries:
            for entry in list(entries):
                if entry.is_dir(follow_symlinks=False):
                    folders.append(folder + b"/" + os.fsencode(entry.name))
                else:
                    os.unlink(entry.name, dir_fd=folder_fd)
    for folder in reversed(folders):
        parent, _, name = folder.rpartition(b"/")
        tree.close_folders()
        os.rmdir(name, dir_fd=tree.open_folder(parent))
