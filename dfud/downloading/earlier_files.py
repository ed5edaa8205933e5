"""The files that earlier runs have put in place: receipts of them are owed if none were wanted then, or are lost.

No table remembers them. Each has the attribute that says when it was sent; it is read and hashed once more, so
that the receipt is about the bytes that are there now.
"""

from __future__ import annotations

import hashlib
import os
import stat
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

import xxhash

from dfud.downloading.owed_receipts import PlacedFile
from dfud.downloading.placed import read_sent
from dfud.files.confined import ConfinedTree

_BLOCK_BYTES = 1 << 20  # hashed at a time
_MAX_FILES = 2_000  # that are synced together
_TURN_S = 0.05  # after which the caller gets its turn


class _Hashed(NamedTuple):
    file: PlacedFile
    ctime_ns: int
    inode: int


class EarlierFiles:
    """Responsible for finding these files, and for yielding those that are still as they were hashed."""

    def __init__(
        self,
        directory: str,
        topic_id: str,
        with_sha256: bool,
        sync: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Find what was read from the topic with this id; `sync` puts on disk all that is below `directory`."""
        self._tree = ConfinedTree(directory)
        self._topic_id = topic_id
        self._with_sha256 = with_sha256
        self._sync = sync
        self._clock = clock
        self._hashed: list[_Hashed] = []
        self.unread = 0  # files and folders that could not be read

    def close(self) -> None:
        """Close all folders."""
        self._tree.close()

    def __iter__(self) -> Iterator[list[PlacedFile]]:
        """Yield files that are synced, or none where the caller may have something else to do.

        What is yielded is in place at that moment: nothing that replaces it is older.
        """
        folders = [b""]
        turn_ends = self._clock() + _TURN_S
        while folders:
            folder = folders.pop()
            self._tree.close_folders()
            for name, is_folder in self._list(folder):
                path = folder + b"/" + name if folder else name
                if is_folder:
                    folders.append(path)
                    continue
                for _ in self._hash(path):
                    if self._clock() >= turn_ends:
                        yield []
                        turn_ends = self._clock() + _TURN_S
                if len(self._hashed) >= _MAX_FILES:
                    yield self._synced()
        yield self._synced()

    def _list(self, folder: bytes) -> list[tuple[bytes, bool]]:
        """Return the names in a folder, each with whether it is a folder; no links, and not LOGS."""
        try:
            with os.scandir(self._tree.open_folder(folder)) as entries:
                return [
                    (os.fsencode(entry.name), entry.is_dir(follow_symlinks=False))
                    for entry in entries
                    if not entry.is_symlink() and (folder or entry.name != "LOGS")
                ]
        except OSError:
            self.unread += 1
            return []

    def _hash(self, path: bytes) -> Iterator[None]:
        """Hash a file of ours, block by block."""
        if self._tree.stat_file(path) is None:  # before it is opened: opening a device may set it going
            return
        try:
            descriptor = self._tree.open(path)
        except OSError:
            self.unread += 1
            return
        try:
            sent = read_sent(descriptor)
            if sent is None or sent.topic_id != self._topic_id:
                return
            status = os.fstat(descriptor)
            xxh3_128, sha256, offset = xxhash.xxh3_128(), hashlib.sha256(), 0
            while data := os.pread(descriptor, _BLOCK_BYTES, offset):
                offset += len(data)
                xxh3_128.update(data)
                if self._with_sha256:
                    sha256.update(data)
                yield
        except OSError:
            self.unread += 1
            return
        finally:
            os.close(descriptor)
        if offset == status.st_size:
            digests = xxh3_128.hexdigest(), sha256.hexdigest() if self._with_sha256 else ""
            # The ctime is that of the rename to its place, unless somebody has changed its attributes since.
            file = PlacedFile(path, offset, status.st_mtime_ns, *digests, status.st_ctime_ns, sent.topic_id)
            self._hashed.append(_Hashed(file, status.st_ctime_ns, status.st_ino))
        yield

    def _synced(self) -> list[PlacedFile]:
        """Return the files that were hashed and are still the same; a download owes the receipts of the others."""
        hashed, self._hashed = self._hashed, []
        if not hashed:
            return []
        self._sync()
        self._tree.close_folders()
        return [each.file for each in hashed if self._is_same(each)]

    def _is_same(self, hashed: _Hashed) -> bool:
        status = self._tree.stat_file(hashed.file.path)
        return (
            status is not None
            and stat.S_ISREG(status.st_mode)
            and (status.st_ctime_ns, status.st_ino) == (hashed.ctime_ns, hashed.inode)
        )
