"""Making one part of what lies on disk: of an earlier run's, and of other fetchers'."""

from __future__ import annotations

from collections.abc import Iterable

from dfud.downloading.obsolete import ObsoleteParts
from dfud.downloading.part import Part
from dfud.downloading.part_files import PartFiles
from dfud.downloading.part_metadata import PartName
from dfud.downloading.parts_folder import PartsFolder
from dfud.downloading.unsaved import UnsavedChanges


class PartLoader:
    """Responsible for reading parts back, and for merging several of one version."""

    def __init__(
        self, folder: PartsFolder, files: PartFiles, unsaved: UnsavedChanges, obsolete: ObsoleteParts
    ) -> None:
        """Read from `folder`; `unsaved` is told what has to be on disk before what was merged may be removed."""
        self._folder = folder
        self._files = files
        self._unsaved = unsaved
        self._obsolete = obsolete

    def load(self, names: Iterable[PartName]) -> Part | None:
        """Return the part with these names, merged into one; None if its files were removed.

        Even if its path is a folder now, or lies below a file: a part in memory stays then as well, until the end
        of the run, whichever fetcher has put that in place and when.
        """
        part = None
        for name in names:
            try:
                metadata = self._folder.read_metadata(name)
            except (OSError, ValueError):
                continue
            if not self._folder.has(name):
                continue
            if self._obsolete.is_replaced(metadata):  # since it was found
                self._folder.remove(name)
                continue
            if part is None:
                part = Part.from_metadata(name, metadata)
            else:
                self.merge(part, name, metadata.spans, metadata.size, metadata.digest)
                part.feed(metadata.first, metadata.sent)
        return part

    def merge(
        self, part: Part, donor: PartName, spans: Iterable[tuple[int, int]], size: int | None, digest: str
    ) -> None:
        """Add to a part what another one of the same version has, which is removed later."""
        if not self._files.copy_from(donor, part, spans):
            return
        if part.assembly.size is None:
            part.assembly.size = size
        part.assembly.digest = part.assembly.digest or digest
        part.is_merged = True
        self._unsaved.mark_changed(part)
        self._unsaved.mark_obsolete(donor)
