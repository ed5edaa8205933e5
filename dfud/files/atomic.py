"""Replacing a file so that whoever looks, and whatever crashes, finds the old or the new one whole."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable


def replace_file(path: str, parts: Iterable[bytes]) -> None:
    """Put a file of `parts` in the place of `path`, durably; after OSError there is the old or the new one, whole.

    The new file is written beside the old one, synced, and renamed; the folder is synced too, so that the
    rename itself outlives a power cut.
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
    """Make the names in `folder` durable; OSError where that fails."""
    descriptor = os.open(folder or ".", os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
