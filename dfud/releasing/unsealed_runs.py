"""Runs that are to be sealed: their manifests list what is there, so nothing of them may go before."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from dfud.core.run_markers import RunMarkers


class UnsealedRuns:
    """Responsible for knowing which folders are sealed: those with a marker that is recorded as uploaded.

    A marker is sent, and recorded, only after the manifest of its run.
    """

    def __init__(self, patterns: Sequence[str]) -> None:
        """Take the patterns of the markers."""
        self._markers = RunMarkers(patterns)
        self._sealed: set[bytes] = set()  # folders
        self._unsealed: set[bytes] = set()  # folders with a marker that is not recorded in its present version
        self._found: list[bytes] = []

    def on_recorded(self, path: bytes) -> None:
        """Take the path of a file that is recorded as uploaded."""
        if self._markers.matches(path):
            self._sealed.add(_folder(path))

    def on_found(self, path: bytes) -> None:
        """Take the path of a file in the directory."""
        if self._markers.matches(path):
            self._found.append(path)

    def check_found(self, is_recorded: Callable[[bytes], bool]) -> None:
        """Ask of the markers that were found whether they are recorded as uploaded as they are now."""
        self._unsealed.update(_folder(path) for path in self._found if not is_recorded(path))

    def have(self, path: bytes) -> bool:
        """Return whether a file has to stay: it is in no run that is sealed, or in one that is to be sealed."""
        is_sealed = False
        folder = path
        while folder:
            folder = _folder(folder)
            if folder in self._unsealed:
                return True
            is_sealed = is_sealed or folder in self._sealed
        return not is_sealed


def _folder(path: bytes) -> bytes:
    return path.rpartition(b"/")[0]
