"""Parts that nobody needs: of versions that were superseded, or that are in place and were sent again in part."""

from __future__ import annotations

import contextlib
import os

from dfud.core.sent import Sent
from dfud.downloading.obstacles import Obstacles
from dfud.downloading.part_metadata import PartMetadata, PartName
from dfud.downloading.parts_folder import PartsFolder
from dfud.downloading.placed import placed_sent, read_sent, write_sent
from dfud.files.confined import ConfinedTree

_BLOCK_BYTES = 1 << 20  # compared at a time


class ObsoleteParts:
    """Responsible for telling obsolete parts from incomplete files, by what is in place."""

    def __init__(self, tree: ConfinedTree, folder: PartsFolder) -> None:
        self._tree = tree
        self._folder = folder
        self._obstacles = Obstacles(tree, folder.dir_fd, lambda level, text, file=b"", cause="": None)

    def includes(self, name: PartName, metadata: PartMetadata) -> bool:
        """Return whether a part is obsolete."""
        return self.is_superseded(metadata) or self._is_repeated(name, metadata, is_final=False)

    def remove(self, name: PartName, metadata: PartMetadata) -> bool:
        """Remove a part if it is obsolete, and return whether it was.

        Its metadata stays where receipts are wanted: what is in place may be its version, and some of its messages
        will not be read again. The next run confirms that, or removes the metadata.
        """
        is_obsolete = self.is_superseded(metadata) or self._is_repeated(name, metadata, is_final=True)
        if is_obsolete:
            self._folder.remove_repeated(name)
        return is_obsolete

    def is_superseded(self, metadata: PartMetadata) -> bool:
        """Return whether what is in place at its path, above it or below it was sent after a part."""
        status = self._tree.stat_file(metadata.path)
        if status is None:
            return metadata.sent is not None and self.is_overtaken(metadata.path, metadata.sent)
        return self._is_replaced(metadata, status)

    def is_replaced(self, metadata: PartMetadata) -> bool:
        """Return whether the file in place at the path of a part was sent after it, or is its version."""
        status = self._tree.stat_file(metadata.path)
        return status is not None and self._is_replaced(metadata, status)

    def _is_replaced(self, metadata: PartMetadata, status: os.stat_result) -> bool:
        is_complete = metadata.spans.covers(_size(metadata, status))
        if metadata.sent is None:
            return _is_version(metadata, status) and not is_complete and not metadata.failure
        placed = placed_sent(self._tree, metadata.path)
        # A complete part of the version in place was received with other bytes since, or could not be put there.
        return placed is not None and (
            placed.is_after(metadata.sent) or (placed == metadata.sent and not is_complete)
        )

    def is_overtaken(self, path: bytes, sent: Sent) -> bool:
        """Return whether what is in place at a path, above it or below it was sent after `sent`."""
        if self._tree.stat_file(path) is not None:
            placed = placed_sent(self._tree, path)
            return placed is not None and placed.is_after(sent)
        try:
            return self._obstacles.is_overtaken(path, sent)
        except OSError:
            return False

    def _is_repeated(self, name: PartName, metadata: PartMetadata, is_final: bool) -> bool:
        """Return whether the file in place is of the version of a part, and has all of its bytes.

        If that is final, the file is noted to be sent when the part was.
        """
        status = self._tree.stat_file(metadata.path)
        if status is None or not _is_version(metadata, status) or metadata.spans.covers(status.st_size):
            return False
        with contextlib.ExitStack() as stack:
            try:
                part_fd = self._folder.open(name)
                stack.callback(os.close, part_fd)
                placed_fd = self._tree.open(metadata.path)
                stack.callback(os.close, placed_fd)
                if not all(_are_equal(part_fd, placed_fd, first - 1, last) for first, last in metadata.spans):
                    return False
            except OSError:
                return False
            if is_final and metadata.sent is not None:
                placed = read_sent(placed_fd)
                with contextlib.suppress(OSError):  # there is nothing to lose where there are no attributes
                    if placed is None or metadata.sent.is_after(placed):
                        write_sent(placed_fd, metadata.sent)
            return True


def _is_version(metadata: PartMetadata, status: os.stat_result) -> bool:
    """Return whether a file is of the version of a part, as far as that is seen without reading it."""
    return status.st_mtime_ns == metadata.mtime_ns and metadata.size in (None, status.st_size)


def _size(metadata: PartMetadata, status: os.stat_result) -> int:
    return status.st_size if _is_version(metadata, status) else metadata.size or 0


def _are_equal(one_fd: int, other_fd: int, start: int, end: int) -> bool:
    while start < end:
        length = min(_BLOCK_BYTES, end - start)
        data = os.pread(one_fd, length, start)
        if not data or data != os.pread(other_fd, length, start):
            return False
        start += len(data)
    return True
