"""Keeping LOGS in its place while an upload runs, whoever removes or replaces it, or something in it.

A file that was removed can still be read by a descriptor that was opened before. Where the file system only
pretends that, the content is copied to a file elsewhere at the start.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from dfud.core.plain_rows import HEADER
from dfud.files.open_folder import is_same_file
from dfud.logs.completed.shard_copy import ShardCopy
from dfud.logs.layout import LogsFolder
from dfud.logs.lock import DirectoryLock
from dfud.logs.owner import owner_file

_BLOCK_BYTES = 1 << 20
_MAX_SHARDS_AT_ONCE = 50  # whoever checks has other work to do as well


class Repairs(NamedTuple):
    """What `LogsKeeper.check` has found and made again."""

    is_another_folder: bool = False  # LOGS itself
    files: tuple[str, ...] = ()  # paths
    must_check_shards: bool = False  # the producers have to look at those that they write
    is_complete: bool = True  # otherwise more is to be made again at the next check


class _KeptFile:
    """A file of which the content is known whatever happens to its name."""

    def __init__(self, folder: LogsFolder, path: str, must_copy: bool) -> None:
        """Keep the file, or a copy of it if `must_copy`; OSError if that fails."""
        self._path = path
        with folder.open_to_read(path) as file:
            self.status = os.fstat(file.fileno())
            self._descriptor = _copy(folder, file.fileno()) if must_copy else os.dup(file.fileno())

    def is_in_place(self, folder: LogsFolder) -> bool:
        """Return whether the file is still at its path; OSError if that cannot be found out."""
        status = folder.stat(self._path)
        return status is not None and stat.S_ISREG(status.st_mode) and is_same_file(status, self.status)

    def write(self, folder: LogsFolder) -> None:
        """Write the file again; OSError if that fails."""
        folder.replace(self._path, _content(self._descriptor))
        status = folder.stat(self._path)
        if status is not None:
            self.status = status

    def close(self) -> None:
        """Forget the content."""
        os.close(self._descriptor)


class LogsKeeper:
    """Responsible for LOGS being at its path, with the lock and all completed rows that were ever in it."""

    def __init__(
        self, folder: LogsFolder, lock: DirectoryLock, activity: str, record: Callable[[], bytes]
    ) -> None:
        """Keep what is in `folder` now; `activity` is that of the lock, in whose file `record` must be."""
        self.folder = folder
        self._lock = lock
        self._activity = activity
        self._record = record
        self._kept: dict[str, _KeptFile] = {}  # by path
        must_copy = not folder.has_nameless_files
        for path in (owner_file(folder), folder.spelling, folder.completed, *folder.shards()):
            with contextlib.suppress(OSError):  # missing, most of the time
                self._kept[path] = _KeptFile(folder, path, must_copy)

    def close(self) -> None:
        """Close the descriptors."""
        for kept in self._kept.values():
            kept.close()
        self._kept.clear()

    def check(self, copies: Iterable[ShardCopy]) -> Repairs:
        """Make again what is missing, and the shards that `copies` tell of; return what that was.

        Raises LockedError if another process has taken the lock meanwhile, and UsageError or OSError if something
        cannot be made again.
        """
        folder = self.folder
        if folder.parent_is_removed:  # the run ends, as there is nothing left to upload
            return Repairs()
        is_another = not folder.is_in_place()
        if is_another:
            folder.make()
        files = []
        if not self._lock.is_at(folder, folder.lock):
            self._lock.retake(folder, folder.lock, self._activity, self._record())
            files.append(folder.lock)
        for path, kept in self._kept.items():
            if not kept.is_in_place(folder):
                kept.write(folder)
                files.append(path)
        must_check_shards = is_another
        missing: list[tuple[ShardCopy, int]] = []
        for copy in copies:
            sequences = _missing_shards(folder, copy)
            if copy.is_growing and copy.last_sequence in sequences:
                sequences.remove(copy.last_sequence)
                must_check_shards = True
            missing += ((copy, sequence) for sequence in sequences)
        for copy, sequence in missing[:_MAX_SHARDS_AT_ONCE]:
            path = folder.shard(copy.producer, sequence)
            folder.replace(path, _with_header(copy.rows(sequence)))
            files.append(path)
        return Repairs(is_another, tuple(files), must_check_shards, len(missing) <= _MAX_SHARDS_AT_ONCE)


def _missing_shards(folder: LogsFolder, copy: ShardCopy) -> list[int]:
    """Return the numbers of the shards that are not there, or have fewer rows than are known."""
    missing = []
    for sequence, size in copy.sizes().items():
        status = folder.stat(folder.shard(copy.producer, sequence))
        if status is None or status.st_size < len(HEADER) + size:
            missing.append(sequence)
    return missing


def _copy(folder: LogsFolder, source: int) -> int:
    """Return the descriptor of a copy of an open file that has no name; OSError if that fails."""
    descriptor = folder.open_nameless()
    try:
        with open(descriptor, "ab", closefd=False) as copy:
            copy.writelines(_content(source))
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _content(descriptor: int) -> Iterator[bytes]:
    offset = 0
    while block := os.pread(descriptor, _BLOCK_BYTES, offset):
        yield block
        offset += len(block)


def _with_header(rows: Iterable[bytes]) -> Iterator[bytes]:
    yield HEADER
    yield from rows
