"""Atomic replacement of files: a reader, or a restart after a crash, finds the old content or the new one."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterable

_FLAGS = os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_MODE = 0o644  # whatever the umask; a stricter one stays stricter
_MAX_ATTEMPTS = 10  # to find a name that nobody has taken


def replace_file(dir_fd: int, name: str, parts: Iterable[bytes], durable: bool = True) -> None:
    """Replace `name`, durably, by a file of `parts`; after an OSError it is the old file or the new one.

    The new file is written beside the old one, synced, and renamed; the folder, open as `dir_fd`, is synced as
    well, so that the rename itself survives a power cut. No link is followed, not even one in the place of `name`.
    Unless `durable`, nothing is synced, and a power cut may leave an empty file.
    """
    descriptor, temporary = create_beside(dir_fd, name, os.O_WRONLY)
    try:
        with open(descriptor, "wb") as file:
            file.writelines(parts)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        os.replace(temporary, name, src_dir_fd=dir_fd, dst_dir_fd=dir_fd)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary, dir_fd=dir_fd)
        raise
    if durable:
        os.fsync(dir_fd)


def create_beside(dir_fd: int, name: str, flags: int) -> tuple[int, str]:
    """Create a temporary file for `name` that did not exist before; return its descriptor and its own name."""
    number = os.getpid()
    for _ in range(_MAX_ATTEMPTS):
        temporary = f".{name}.{number}.tmp"
        with contextlib.suppress(FileExistsError):
            return os.open(temporary, flags | _FLAGS, _MODE, dir_fd=dir_fd), temporary
        number = secrets.randbelow(10**9)
    raise FileExistsError(f"temporary files like {temporary} are in the way")
