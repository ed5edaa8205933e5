"""Atomic replacement of files: a reader, or a restart after a crash, finds the old content or the new one."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable


def replace_file(path: str, parts: Iterable[bytes]) -> None:
    """Replace `path`, durably, by a file of `parts`; after an OSError it is the old file or the new one.

    The new file is written beside the old one, synced, and renamed; the folder is synced as well, so that the
    rename itself survives a power cut.
    """
    folder, name = os.path.split(path)
    temporary = os.path.join(folder, f".{name}.{os.getpid()}.tmp")
    try:
        with open(temporary, "wb") as file:
            file.writelines(parts)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
    sync_folder(folder)


def sync_folder(folder: str) -> None:
    """Make the names in `folder` durable; OSError if that fails."""
    dir_fd = os.open(folder or ".", os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(dir_fd)
    finally:
        os.close(dir_fd)
