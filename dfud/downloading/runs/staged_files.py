"""The files that are staged: removed when their run is in its place, and counted at the end."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator

from dfud.core.manifest import Manifest
from dfud.core.version import FileVersion, path_key
from dfud.downloading.runs.listed_files import ListedFiles, versions
from dfud.files.confined import ConfinedTree
from dfud.files.scan import join
from dfud.logs.lock import wait_for_lock

_BLOCK_BYTES = 1 << 20  # compared at a time
_LOCK_TIMEOUT_S = 30.0  # a fetcher keeps it for microseconds


class StagedFiles:
    """Responsible for removing what lies in a place, too, and nothing else."""

    def __init__(self, files: ListedFiles, lock_fd: int) -> None:
        """`lock_fd` is open for the lock that fetchers take to put a file in its place."""
        self._files = files
        self._staged = files.staged
        self._lock_fd = lock_fd

    def remove_placed(self, manifest: Manifest) -> None:
        """Remove the files of a run that is in its place; OSError."""
        folders = set()
        for version in versions(manifest):
            if self._remove(version):
                folders.add(version.path.rpartition(b"/")[0])
        self._remove_folders(folders)

    def sweep(self) -> None:
        """Remove all files that are in places: their messages were read again after a crash; OSError."""
        folders = set()
        for folder, names in self._walk():
            if not (names and self._files.places.may_have(folder)):
                continue
            for path in (join(folder, name) for name in names):
                status = self._staged.stat_file(path)
                if status and self._remove(FileVersion(path, status.st_size, status.st_mtime_ns)):
                    folders.add(folder)
        self._remove_folders(folders)

    def count(self, listed: set[bytes]) -> int:
        """Return how many files there are whose paths have none of the keys in `listed`."""
        return sum(path_key(join(folder, name)) not in listed for folder, names in self._walk() for name in names)

    def _remove(self, version: FileVersion) -> bool:
        """Remove a file if it is of this version, and the same as one in the directory; return whether it was."""
        status = self._staged.stat_file(version.path)
        if status is None or (status.st_size, status.st_mtime_ns) != version[1:]:
            return False
        for path in self._files.find_placed(version):
            placed = self._files.tree.stat_file(path)
            if placed is not None and (os.path.samestat(placed, status) or self._is_equal(version.path, path)):
                return self._unlink(version.path, status)
        return False

    def _is_equal(self, path: bytes, placed: bytes) -> bool:
        with contextlib.ExitStack() as stack:
            try:
                one, other = self._staged.open(path), self._files.tree.open(placed)
            except OSError:
                return False
            stack.callback(os.close, one)
            stack.callback(os.close, other)
            while data := os.read(one, _BLOCK_BYTES):
                if data != os.read(other, len(data)):
                    return False
            return True

    def _unlink(self, path: bytes, seen: os.stat_result) -> bool:
        """Remove a file unless a fetcher has replaced it since it was seen."""
        wait_for_lock(self._lock_fd, _LOCK_TIMEOUT_S)
        try:
            self._staged.close_folders()
            status = self._staged.stat_file(path)
            if status is None or not os.path.samestat(status, seen):
                return False
            folder, _, name = path.rpartition(b"/")
            os.unlink(name, dir_fd=self._staged.open_folder(folder))
            return True
        finally:
            fcntl.flock(self._lock_fd, fcntl.LOCK_UN)

    def _remove_folders(self, folders: set[bytes]) -> None:
        """Remove folders that are empty, and those that are empty without them."""
        self._staged.close_folders()
        for folder in sorted(folders, key=len, reverse=True):
            path = folder
            while path:
                parent, _, name = path.rpartition(b"/")
                try:
                    os.rmdir(name, dir_fd=self._staged.open_folder(parent))
                except OSError:
                    break
                self._staged.close_folders()
                path = parent
        self._staged.close_folders()

    def _walk(self) -> Iterator[tuple[bytes, list[bytes]]]:
        """Yield all folders, and the names of the files in each."""
        self._staged.close_folders()
        folders = [b""]
        while folders:
            folder = folders.pop()
            entries = _list(self._staged, folder)
            folders += [join(folder, name) for name, is_folder in entries if is_folder]
            yield folder, [name for name, is_folder in entries if not is_folder]


def _list(tree: ConfinedTree, folder: bytes) -> list[tuple[bytes, bool]]:
    try:
        with os.scandir(tree.open_folder(folder)) as entries:
            return [(os.fsencode(entry.name), entry.is_dir(follow_symlinks=False)) for entry in entries]
    except OSError:  # it was removed meanwhile
        return []
