"""Putting complete parts in place."""

from __future__ import annotations

import fcntl
import logging
import os
from collections.abc import Callable

from dfud.core.text import printable
from dfud.downloading.counts import DownloadCounts
from dfud.downloading.disk import Disk
from dfud.downloading.part import Part
from dfud.downloading.part_store import PartStore
from dfud.downloading.parts_folder import PART_SUFFIX, PartsFolder
from dfud.files.confined import ConfinedTree

_LOCK = ".lock"


class Placement:
    """Responsible for checking the digests of complete parts and for moving them to the paths of their files.

    A version that is older than what is in place is dropped. What cannot be moved stays a part, for the next run.
    """

    def __init__(
        self,
        tree: ConfinedTree,
        folder: PartsFolder,
        store: PartStore,
        disk: Disk,
        is_shared: bool,
        counts: DownloadCounts,
        report: Callable[[int, str], None],
    ) -> None:
        """`is_shared` says that other fetchers put files in place, too."""
        self._tree = tree
        self._folder = folder
        self._store = store
        self._disk = disk
        self._is_shared = is_shared
        self._counts = counts
        self._report = report
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        self._lock_fd = os.open(_LOCK, flags, 0o644, dir_fd=folder.dir_fd)

    def close(self) -> None:
        """Close the lock file."""
        os.close(self._lock_fd)

    def finish(self, part: Part) -> None:
        """Put a complete part in place if its digest matches; otherwise keep it as it is."""
        files, assembly = self._store.files, part.assembly
        if not files.finish_writing(part):
            return
        part.is_overwritten = False
        if assembly.verify(lambda length, offset: files.read(part, length, offset)):
            self.place(part)
            return
        if not part.failure:
            self._counts.wrong += 1
            text = f"{printable(part.path)}: all chunks received, but the digest does not match; kept in LOGS"
            self._report(logging.WARNING, text)
        part.failure = "its digest does not match"
        self._store.on_changed(part)

    def place(self, part: Part) -> None:
        """Put a part in place whose digest matches, unless what is there is newer."""
        if not self._store.files.finish_writing(part):
            return
        if self._is_shared:  # no other fetcher may put a version in place after we have seen which one is there
            fcntl.flock(self._lock_fd, fcntl.LOCK_EX)
        try:
            is_newest = self._move(part)
        except (OSError, OverflowError) as error:
            self._keep(part, getattr(error, "strerror", None) or str(error))
            return
        finally:
            if self._is_shared:
                fcntl.flock(self._lock_fd, fcntl.LOCK_UN)
        if is_newest:
            self._counts.files += 1
            self._report(logging.DEBUG, f"{printable(part.path)} is complete")
            self._store.drop(part)
        else:
            self._counts.superseded += 1
            self._store.remove(part)

    def _move(self, part: Part) -> bool:
        """Move a part to the path of its file; return False if that is newer than the part."""
        if part.mtime_ns is not None:
            status = self._tree.stat_file(part.path)
            if status is not None and status.st_mtime_ns > part.mtime_ns:
                return False
            self._store.files.set_mtime(part, part.mtime_ns)
        name = f"{part.name}{PART_SUFFIX}"
        self._disk.retry(lambda: self._tree.place(name, self._folder.dir_fd, part.path))
        return True

    def _keep(self, part: Part, reason: str) -> None:
        part.failure = f"cannot be put in place: {reason}"
        self._counts.unplaced += 1
        self._report(logging.ERROR, f"{printable(part.path)} {part.failure}; kept in LOGS")
        self._store.on_changed(part)
        self._store.files.close(part)
