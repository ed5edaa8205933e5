"""Files by their paths, for what wants the folder that they are in."""

from __future__ import annotations

import os
from pathlib import Path

from dfud.files.open_folder import OpenFolder
from dfud.logs.lock import DirectoryLock


def folder_of(path: Path | str) -> OpenFolder:
    """Return the folder that the file at `path` is in."""
    parent, name = os.path.split(os.path.dirname(os.fspath(path)))
    return OpenFolder(parent, name)


def take_lock(path: Path | str) -> DirectoryLock:
    """Take the lock at `path`."""
    return DirectoryLock.take(folder_of(path), os.fspath(path), "uploading DIR to topic T")
