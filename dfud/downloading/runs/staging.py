"""What a fetcher writes into, instead of the directory itself, until runs are whole."""

from __future__ import annotations

import os
from collections.abc import Callable

from dfud.downloading.assembler import TakeManifest
from dfud.downloading.runs.folders import make_run_folders
from dfud.downloading.runs.manifest_store import ManifestIntake, ManifestStore
from dfud.files.confined import ConfinedTree


def open_staging(parts_fd: int, accepts: Callable[[bytes], bool]) -> tuple[ConfinedTree, TakeManifest]:
    """Return the tree of the files that are staged, and what takes manifests.

    Only manifests of which `accepts` returns True for the path of the marker are kept.
    """
    folders = make_run_folders(parts_fd)
    tree = ConfinedTree(".", dir_fd=folders.staged)
    os.close(folders.staged)
    os.close(folders.building)
    return tree, ManifestIntake(ManifestStore(folders.manifests), accepts).take
