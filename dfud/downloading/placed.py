"""When a file in place was sent: an extended attribute of every file that a download has put there.

It belongs to the file itself, so that it is gone with the file, and needs no table. A file without it was put
there by others, or lies on a file system without such attributes: the next version that is received replaces it.
"""

from __future__ import annotations

import os

from dfud.core.sent import Sent
from dfud.files.confined import ConfinedTree

ATTRIBUTE = "user.dfud.sent"


def read_sent(descriptor: int) -> Sent | None:
    """Return when an open file was sent; None if that is not known."""
    try:
        return Sent.parse(os.getxattr(descriptor, ATTRIBUTE).decode("ascii"))
    except (OSError, UnicodeDecodeError):
        return None


def write_sent(descriptor: int, sent: Sent) -> None:
    """Note in an open file when it was sent; OSError if it cannot have the attribute."""
    os.setxattr(descriptor, ATTRIBUTE, str(sent).encode())


def placed_sent(tree: ConfinedTree, path: bytes) -> Sent | None:
    """Return when the file in place was sent; None if there is none, or if that is not known."""
    if tree.stat_file(path) is None:  # before it is opened: opening a device may set it going
        return None
    try:
        descriptor = tree.open(path)
    except OSError:
        return None
    try:
        return read_sent(descriptor)
    finally:
        os.close(descriptor)
