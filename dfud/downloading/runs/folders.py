"""The folders, in that of the parts, in which runs are collected before they are whole."""

from __future__ import annotations

import contextlib
import os
from typing import NamedTuple

STAGED = "staged"  # files, at their paths, until the run that they belong to is whole
MANIFESTS = "manifests"  # of runs that are not in their places
BUILDING = "building"  # runs that are about to get their places
_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class RunFolders(NamedTuple):
    """Descriptors of all of them."""

    staged: int
    manifests: int
    building: int

    def close(self) -> None:
        """Close them."""
        for descriptor in self:
            os.close(descriptor)


def make_run_folders(parts_fd: int) -> RunFolders:
    """Make what does not exist, and open all; OSError, with the name of the folder, if that fails."""
    for name in (STAGED, MANIFESTS, BUILDING):
        with contextlib.suppress(FileExistsError):
            os.mkdir(name, 0o755, dir_fd=parts_fd)
    return RunFolders(*(os.open(name, _FLAGS, dir_fd=parts_fd) for name in (STAGED, MANIFESTS, BUILDING)))


def has_staged(parts_fd: int) -> bool:
    """Return whether there are files, or manifests, of runs that are not in their places."""
    for name in (STAGED, MANIFESTS):
        with contextlib.suppress(OSError):
            folder_fd = os.open(name, _FLAGS, dir_fd=parts_fd)
            try:
                if os.listdir(folder_fd):
                    return True
            finally:
                os.close(folder_fd)
    return False
