"""What has to be mounted for a directory to be there."""

from __future__ import annotations

import os
import subprocess


def find_mount(directory: str) -> str:
    """Return the mount point that a directory is below, or "" if that is the root, or mountpoint(1) denies it.

    The unit asks mountpoint(1) before each start: a folder with a device of its own, a subvolume, is not enough.
    """
    path = os.path.realpath(directory)
    while not os.path.ismount(path):
        path = os.path.dirname(path)
    if path == "/":
        return ""
    try:
        done = subprocess.run(["mountpoint", "-q", path], stdin=subprocess.DEVNULL, check=False)
    except OSError:
        return ""
    return path if done.returncode == 0 else ""
