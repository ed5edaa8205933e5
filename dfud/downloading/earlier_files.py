"""The files that earlier runs have put in place: receipts of them are owed if none were wanted then, or are lost.

No table remembers them. Each has the attribute that says when it was sent; it is read and hashed once more, so
that the receipt is about the bytes that are there now.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterable, Iterator
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


class FilesInPlace:
    """The files below a directory, by their paths on the topic, and the tree that has them."""

    def __init__(self, directory: str) -> None:
        """List and open the files below `directory`."""
        self.tree = ConfinedTree(directory)
        self.unread = 0  # folders that could not be read
        self.are_moved = False  # a file may be moved, and still be the same

    def close(self) -> None:
        """Close all folders."""
        self.tree.close()

    def __iter__(self) -> Iterator[bytes]:
        """Yield the paths of all files."""
        folders = [b""]
        while folders:
            folder = folders.pop()
            for name, is_folder in self.list_folder(self.tree, folder):
                path = folder + b"/" + name if folder else name
                if is_folder:
                    folders.append(path)
                else:
                    yield path

    def list_folder(self, tree: ConfinedTree, folder: bytes) -> list[tuple[bytes, bool]]:
        """Return the names in a folder, each with whether it is a folder; no links, and not LOGS."""
        tree.close_folders()
        try:
            with os.scandir(tree.open_folder(folder)) as entries:
                return [
                    (os.fsencode(entry.name), entry.is_dir(follow_symlinks=False))
                    for entry in entries
                    if not entry.is_symlink() and (folder or entry.name != "LOGS")
                ]
        except OSError:
            self.unread += 1
            return []


class EarlierFiles:
    """Responsible for hashing these files, and for yielding those that are still as they were hashed."""

    def __init__(
        self,
        files: FilesInPlace,
        topic_id: str,
        with_sha256: bool,
        sync: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take those of `files` that were read from the topic with this id; `sync` puts all of them on disk."""
        self._files = files
        self._tree = files.tree
        self._topic_id = topic_id
        self._with_sha256 = with_sha256
        self._sync = sync
        self._clock = clock
        self._hashed: list[_Hashed] = []
        self._moved: list[bytes] = []  # paths, to be hashed again
        self._unread = 0  # files that could not be read

    @property
    def unread(self) -> int:
        """How many files and folders could not be read."""
        return self._unread + self._files.unread

    def close(self) -> None:
        """Close all folders."""
        self._files.close()

    def __iter__(self) -> Iterator[list[PlacedFile]]:
        """Yield files that are synced, or none where the caller may have something else to do.

        What is yielded is in place at that moment: nothing that replaces it is older.
        """
        paths: Iterable[bytes] = self._files
        while paths:
            yield from self._hash_all(paths)
            yield self._synced()
            paths, self._moved = self._moved, []

    def _hash_all(self, paths: Iterable[bytes]) -> Iterator[list[PlacedFile]]:
        turn_ends = self._clock() + _TURN_S
        for path in paths:
            for _ in self._hash(path):
                if self._clock() >= turn_ends:
                    yield []
                    turn_ends = self._clock() + _TURN_S
            if len(self._hashed) >= _MAX_FILES:
                yield self._synced()

    def _hash(self, path: bytes) -> Iterator[None]:
        """Hash a file of ours, block by block."""
        if self._tree.stat_file(path) is None:  # before it is opened: opening a device may set it going
            return
        try:
            descriptor = self._tree.open(path)
        except OSError:
            self._unread += 1
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
            self._unread += 1
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
        same = []
        for each in hashed:
            status = self._tree.stat_file(each.file.path)
            if status is not None and (status.st_ctime_ns, status.st_ino) == (each.ctime_ns, each.inode):
                same.append(each.file)
            elif status is not None and self._files.are_moved:
                self._moved.append(each.file.path)
        return same
