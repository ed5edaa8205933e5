"""A second copy of what one producer has put into its shards, in a file that has no name.

Whoever removes LOGS cannot remove it; it is gone with the processes that have it open. The producer appends to it
what it has written, before it reports it, and the supervisor reads it when a shard is missing.
"""

from __future__ import annotations

import contextlib
import os
import struct
from collections.abc import Iterable, Iterator

from dfud.logs.layout import LogsFolder

_HEAD = struct.Struct("<QQ")  # number of the shard, bytes of rows that follow


class ShardCopy:
    """The copy of one producer's shards. It costs a descriptor, and as much disk as they do."""

    def __init__(self, folder: LogsFolder, producer: int) -> None:
        """Make the file, before the producer is forked; if that fails, nothing is copied."""
        self.producer = producer
        self.is_growing = True  # its producer lives, and is itself responsible for its last shard
        self._descriptor = -1
        with contextlib.suppress(OSError):
            self._descriptor = folder.open_nameless()
        self._read_to = 0
        self._parts: dict[int, list[tuple[int, int]]] = {}  # offset and length, by number of the shard

    def close(self) -> None:
        """Close this process's descriptor."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def append(self, sequence: int, rows: Iterable[bytes]) -> None:
        """Add rows of the shard `sequence`; if that fails, neither these nor later ones are copied."""
        if self._descriptor >= 0 and not self._write(sequence, rows):
            self.close()

    def absorb(self, other: ShardCopy) -> bool:
        """Add all that `other` has, whose producer has died too; return False, unchanged, if that fails."""
        sizes = other.sizes()
        if self._descriptor < 0:
            return not sizes
        self._read_heads()
        try:
            os.ftruncate(self._descriptor, self._read_to)  # what could not be written wholly
            if all(self._write(sequence, other.rows(sequence)) for sequence in sizes):
                return True
            os.ftruncate(self._descriptor, self._read_to)
        except OSError:
            pass
        return False

    def _write(self, sequence: int, rows: Iterable[bytes]) -> bool:
        """Append rows of a shard; return False if they are not all in the file."""
        text = b"".join(rows)
        part = _HEAD.pack(sequence, len(text)) + text
        try:
            return os.write(self._descriptor, part) == len(part)
        except OSError:  # a full disk, or a limit of a file's size
            return False

    def sizes(self) -> dict[int, int]:
        """Return the bytes of rows that are known of each shard, by its number, oldest first."""
        self._read_heads()
        return {sequence: sum(length for _, length in parts) for sequence, parts in self._parts.items()}

    @property
    def last_sequence(self) -> int:
        """The number of the newest shard; 0 if there is none."""
        return max(self.sizes(), default=0)

    def rows(self, sequence: int) -> Iterator[bytes]:
        """Yield what is known of a shard, some rows at a time; OSError if it cannot be read."""
        for offset, length in self._parts.get(sequence, []):
            yield os.pread(self._descriptor, length, offset)

    def _read_heads(self) -> None:
        """Take note of the parts that were appended since the last call."""
        if self._descriptor < 0:
            return
        end = os.fstat(self._descriptor).st_size
        while self._read_to + _HEAD.size <= end:
            sequence, length = _HEAD.unpack(os.pread(self._descriptor, _HEAD.size, self._read_to))
            offset = self._read_to + _HEAD.size
            if offset + length > end:  # it is being written, or its producer could not write all of it
                return
            self._parts.setdefault(sequence, []).append((offset, length))
            self._read_to = offset + length
