"""The runs that the user wants to have in their places at once. What does that is imported only then."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from dfud.downloading.runs.folders import has_staged, make_run_folders
from dfud.downloading.runs.settings import RunSettings
from dfud.downloading.settings import FetchSettings
from dfud.files.confined import ConfinedTree
from dfud.processes.workers import WorkerPool

if TYPE_CHECKING:
    from dfud.downloading.assembler import TakeManifest
    from dfud.downloading.earlier_files import FilesInPlace
    from dfud.downloading.runs.outlet import RunOutlet


def prepare_runs(parts_fd: int, runs: RunSettings | None) -> bool:
    """Make the folders for runs, if these are wanted; OSError.

    Return whether these folders hold something although no runs are wanted.
    """
    if runs is None:
        return has_staged(parts_fd)
    from dfud.downloading.runs.manifest_store import ManifestStore

    folders = make_run_folders(parts_fd)
    ManifestStore(folders.manifests).remove_leftovers()
    folders.close()
    return False


def open_target(
    settings: FetchSettings, parts_fd: int, accepts: Callable[[bytes], bool]
) -> tuple[ConfinedTree, TakeManifest | None]:
    """Return where a fetcher puts files that are complete, and what takes manifests, if runs are wanted.

    Only manifests of which `accepts` returns True for the path of the marker are kept.
    """
    if settings.runs is None:
        return ConfinedTree(settings.directory), None
    from dfud.downloading.runs.staging import open_staging

    return open_staging(parts_fd, settings.directory, settings.topic, accepts)


def open_reading(settings: FetchSettings, parts_fd: int) -> ConfinedTree:
    """Return where the files of a download are that are complete."""
    if settings.runs is None:
        return ConfinedTree(settings.directory)
    from dfud.downloading.runs.staging import open_staged

    return open_staged(parts_fd, settings.directory, settings.topic)


def files_in_place(settings: FetchSettings) -> FilesInPlace:
    """Return the files of a download that are complete, by their paths on the topic; OSError."""
    from dfud.downloading.earlier_files import FilesInPlace

    if settings.runs is None:
        return FilesInPlace(settings.directory)
    from dfud.downloading.runs.received_files import ReceivedFiles

    return ReceivedFiles(settings.directory, settings.parts_folder, settings.topic)


def make_run_outlet(
    settings: FetchSettings, parts_fd: int, workers: WorkerPool, log: logging.Logger
) -> RunOutlet | None:
    """Return what puts runs in their places; None if that is not wanted."""
    if settings.runs is None:
        return None
    from dfud.downloading.runs.outlet import make_outlet

    return make_outlet(settings, parts_fd, workers, log)
