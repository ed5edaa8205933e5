"""What the folder of a run in its place says of itself, in an extended attribute."""

from __future__ import annotations

import contextlib
import errno
import os
from typing import NamedTuple

import xxhash

from dfud.core.bagit import DECLARATION_NAME
from dfud.core.manifest import Manifest
from dfud.core.sent import Sent
from dfud.downloading.runs.settings import BAG, PLAIN

ATTRIBUTE = "user.dfud.run"
_MADE = b"made"


class Mark(NamedTuple):
    """Which run it is, and how it lies there."""

    run: str  # XXH3 of the path, in hex digits: a path may be longer than an attribute
    id: str  # of the manifest
    layout: str
    sent: Sent  # where the manifest was sent

    @classmethod
    def of(cls, manifest: Manifest, layout: str, sent: Sent) -> Mark:
        """Return the mark of a run that is put in its place."""
        return cls(short_name(manifest.head.run), manifest.id, layout, sent)

    @classmethod
    def read(cls, folder_fd: int) -> Mark | None:
        """Return that of an open folder; None if it has none."""
        try:
            run, manifest_id, layout, text = os.getxattr(folder_fd, ATTRIBUTE).decode("ascii").split(" ", 3)
        except (OSError, ValueError):
            return None
        sent = Sent.parse(text)
        return None if sent is None else cls(run, manifest_id, layout, sent)

    def is_of(self, run: bytes) -> bool:
        """Return whether it is that of the run at this path."""
        return self.run == short_name(run)

    def write(self, folder_fd: int) -> None:
        """Note it in an open folder, if that can have attributes."""
        with contextlib.suppress(OSError):
            os.setxattr(folder_fd, ATTRIBUTE, f"{self.run} {self.id} {self.layout} {self.sent}".encode())


def mark_made(descriptor: int) -> None:
    """Note in an open file that it is none of the run, but was made for its place."""
    with contextlib.suppress(OSError):
        os.setxattr(descriptor, ATTRIBUTE, _MADE)


def is_made(descriptor: int) -> bool:
    """Return whether that is noted in an open file."""
    try:
        return os.getxattr(descriptor, ATTRIBUTE) == _MADE
    except OSError:
        return False


def short_name(run: bytes) -> str:
    """Return a name of 32 characters for the run at a path."""
    return xxhash.xxh3_128_hexdigest(run)


def layout_of(folder_fd: int) -> str:
    """Return the layout of the run that an open folder is, or `PLAIN` for any other folder.

    Where folders have no attributes, one that looks like a bag is taken for one.
    """
    mark = Mark.read(folder_fd)
    if mark is not None:
        return mark.layout
    try:
        os.getxattr(folder_fd, ATTRIBUTE)
    except OSError as error:
        if error.errno == errno.ENODATA:
            return PLAIN
    try:
        os.stat(DECLARATION_NAME, dir_fd=folder_fd, follow_symlinks=False)
    except OSError:
        return PLAIN
    return BAG
