"""What a fetcher writes into, instead of the directory itself, until runs are whole."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from typing import TypeVar

from dfud.downloading.assembler import TakeManifest
from dfud.downloading.runs.folders import make_run_folders
from dfud.downloading.runs.listed_files import Places
from dfud.downloading.runs.manifest_store import ManifestIntake, ManifestStore
from dfud.files.confined import ConfinedTree

Found = TypeVar("Found")


class StagedTree(ConfinedTree):
    """The files that are staged and, for reading only, those of runs that are in their places.

    So what is read again, after a crash, is found to be there, and not staged again.
    """

    def __init__(self, staged_fd: int, directory: str, topic: str) -> None:
        """Use the folder that is open as `staged_fd`, which stays the caller's, and the directory."""
        super().__init__(".", dir_fd=staged_fd)
        self._placed = ConfinedTree(directory)
        self._places = Places(self._placed, topic)
        self._absent: set[bytes] = set()  # folders that no run in its place has, as far as was looked

    def close(self) -> None:
        """Close all folders."""
        super().close()
        self._placed.close()

    def close_folders(self) -> None:
        """Look anew at everything."""
        super().close_folders()
        self._placed.close_folders()
        self._places.forget()
        self._absent.clear()

    def stat_file(self, path: bytes) -> os.stat_result | None:
        """Return the status of a file that is staged or in its run; None if there is none."""
        return super().stat_file(path) or self._in_place(path, self._placed.stat_file)

    def open(self, path: bytes) -> int:
        """Open a file that is staged or in its run; OSError if there is none."""
        try:
            return super().open(path)
        except FileNotFoundError:
            descriptor = self._in_place(path, self._open_placed)
            if descriptor is None:
                raise
            return descriptor

    def _open_placed(self, path: bytes) -> int | None:
        with contextlib.suppress(OSError):
            return self._placed.open(path)
        return None

    def _in_place(self, path: bytes, find: Callable[[bytes], Found | None]) -> Found | None:
        folder = path.rpartition(b"/")[0]
        if folder in self._absent:
            return None
        if not self._places.may_have(folder):
            self._absent.add(folder)
            return None
        found = (find(place) for place in self._places.of(path))
        return next((each for each in found if each is not None), None)


def open_staged(parts_fd: int, directory: str, topic: str) -> StagedTree:
    """Return the tree of the files of a topic that are staged; OSError."""
    folders = make_run_folders(parts_fd)
    try:
        return StagedTree(folders.staged, directory, topic)
    finally:
        folders.close()


def open_staging(
    parts_fd: int, directory: str, topic: str, accepts: Callable[[bytes], bool]
) -> tuple[StagedTree, TakeManifest]:
    """Return the tree of the files that are staged, and what takes manifests.

    Only manifests of which `accepts` returns True for the path of the marker are kept.
    """
    folders = make_run_folders(parts_fd)
    tree = StagedTree(folders.staged, directory, topic)
    os.close(folders.staged)
    os.close(folders.building)
    return tree, ManifestIntake(ManifestStore(folders.manifests), accepts).take
