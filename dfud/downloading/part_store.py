"""The parts of one fetcher, in memory or only on disk."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from dfud.core.chunk import Chunk
from dfud.downloading.disk import Disk
from dfud.downloading.part import Part
from dfud.downloading.part_files import PartFiles
from dfud.downloading.part_metadata import PartMetadata, PartName
from dfud.downloading.part_reports import PartReports
from dfud.downloading.parts_folder import PartsFolder
from dfud.downloading.unsaved import Snapshot, UnsavedChanges
from dfud.files.confined import ConfinedTree
from dfud.messages import Released

MAX_PARTS = 10_000  # in memory


class PartStore:
    """Responsible for finding, beginning and dropping parts, and for passing them to and from other fetchers.

    `files` reads and writes their bytes; `reports` collects what the supervisor has to know about them.
    """

    def __init__(
        self,
        tree: ConfinedTree,
        folder: PartsFolder,
        fetcher: int,
        disk: Disk,
        on_unwritable: Callable[[Part, OSError], None],
        report: Callable[[int, str], None],
    ) -> None:
        """Hold the parts of the fetcher with number `fetcher`; `on_unwritable` is that of `PartFiles`."""
        self._tree = tree
        self._folder = folder
        self._fetcher = fetcher
        self._parts: dict[bytes, Part] = {}  # by identity
        self._on_disk: dict[bytes, list[PartName]] = {}  # by identity, parts that are not in memory
        self._unsaved = UnsavedChanges(self._parts, folder)
        self.reports = PartReports()
        self.files = PartFiles(tree, folder, disk, self.on_changed, on_unwritable, report)

    # -- finding and beginning

    def __contains__(self, identity: bytes) -> bool:
        """Return whether the part of a version is in memory."""
        return identity in self._parts

    def find(self, identity: bytes) -> Part | None:
        """Return the part of a version, or None if there is none."""
        part = self._parts.get(identity)
        if part is None and identity in self._on_disk:
            part = self._load(self._on_disk.pop(identity))
            if part is not None:
                self._parts[identity] = part
        return part

    def begin(self, identity: bytes, chunk: Chunk) -> Part:
        """Return a new part with a file of its own."""
        part = Part(PartName.new(identity, self._fetcher), chunk)
        self.files.create(part)
        self._parts[identity] = part
        return part

    def begin_in_place(self, identity: bytes, chunk: Chunk, size: int) -> Part:
        """Return a part that is the file in place, of `size` bytes, until a chunk proves to differ from it."""
        part = Part(PartName.new(identity, self._fetcher), chunk)
        part.is_in_place = True
        part.assembly.size = size
        self._parts[identity] = part
        return part

    def load_earlier(self) -> list[Part]:
        """Find the parts that earlier runs have left to this fetcher; return those that are complete."""
        complete = []
        for name, metadata in self._folder.list_parts():
            if name.fetcher != self._fetcher:
                continue
            if self._was_placed(metadata):
                self._folder.remove(name)
                continue
            self._on_disk.setdefault(name.identity, []).append(name)
            self.reports.on_loaded(name.identity, metadata)
            if metadata.digest and metadata.is_complete:
                complete.append(name.identity)
        duplicated = [identity for identity, names in self._on_disk.items() if len(names) > 1]
        parts = [self.find(identity) for identity in dict.fromkeys(complete + duplicated)]
        return [part for part in parts if part is not None and part.assembly.is_whole]

    def _was_placed(self, metadata: PartMetadata) -> bool:
        """Return whether the bytes of a part were merged into one that was put in place just before a crash."""
        status = self._tree.stat_file(metadata.path)
        if status is None or metadata.mtime_ns != status.st_mtime_ns or metadata.failure:
            return False
        # A part with all bytes is a detached copy of the file in place, and has received other bytes since.
        return metadata.size in (None, status.st_size) and not metadata.spans.covers(status.st_size)

    def _load(self, names: list[PartName]) -> Part | None:
        """Return the part with these names, merged into one; None if its files were removed."""
        part = None
        for name in names:
            try:
                metadata = self._folder.read_metadata(name)
            except (OSError, ValueError):
                continue
            if not self._folder.has(name):
                continue
            if part is None:
                part = Part.from_metadata(name, metadata)
            else:
                self._merge(part, name, metadata.spans, metadata.size, metadata.digest)
        return part

    # -- changing and dropping

    def on_changed(self, part: Part) -> None:
        """Note that a part has new bytes, or that something else in its metadata has changed."""
        self._unsaved.mark_changed(part)
        self.reports.on_changed(part)

    def drop(self, part: Part) -> None:
        """Forget a part that was put in place, and remove its metadata."""
        if part.has_metadata:
            self._folder.remove_metadata(part.name)
        self.reports.on_dropped(part)
        self._forget(part)

    def remove(self, part: Part) -> None:
        """Forget a part, and remove its files."""
        self._folder.remove(part.name)
        self.reports.on_dropped(part)
        self._forget(part)

    def _forget(self, part: Part) -> None:
        """Forget a part in memory; its files stay."""
        self.files.discard(part)
        self._unsaved.forget(part)
        self.reports.forget(part)
        if self._parts.get(part.identity) is part:
            del self._parts[part.identity]
        part.expected.forget()

    def close(self) -> None:
        """Close all files."""
        self.files.close_all()

    # -- checkpoints

    def snapshot(self) -> Snapshot:
        """Return what has to be on disk before the offsets of the messages taken so far may be committed."""
        self.files.flush()
        return self._unsaved.snapshot()

    def on_saved(self, snapshot: Snapshot) -> None:
        """Clean up after a snapshot that is on disk."""
        self._unsaved.on_saved(snapshot)
        self._evict()

    def on_save_failed(self, snapshot: Snapshot) -> None:
        """Take back a snapshot that could not be put on disk."""
        self._unsaved.on_failed(snapshot)

    def _evict(self) -> None:
        """Forget parts that can be loaded again, as long as there are more than `MAX_PARTS` in memory."""
        self.files.flush()
        for part in list(self._parts.values()):
            if len(self._parts) <= MAX_PARTS:
                return
            if part not in self._unsaved and (part.has_metadata or part.is_in_place):
                if part.has_metadata:
                    self._on_disk[part.identity] = [part.name]
                self._forget(part)

    # -- other fetchers

    def release(self, identity: bytes) -> Released:
        """Forget the part of a version so that another fetcher can merge it; return what it needs for that."""
        part = self.find(identity)
        if part is None or part.is_in_place:
            return Released(identity, "", None, "", ())
        self.files.flush()
        self._unsaved.mark_released(part)
        assembly = part.assembly
        released = Released(identity, str(part.name), assembly.size, assembly.digest, assembly.spans.ranges())
        self._forget(part)
        return released

    def merge(self, identity: bytes, donors: Iterable[Released]) -> Part | None:
        """Merge what other fetchers have released of a version; return its part unless it is in place already."""
        part = self.find(identity)
        if part is not None and part.is_in_place:
            part = None
        for donor in donors:
            name = PartName.parse(donor.name)
            if name is None:
                continue
            if part is None:
                self._unsaved.mark_obsolete(name)
            else:
                self._merge(part, name, donor.spans, donor.size, donor.digest)
        return part

    def _merge(
        self, part: Part, donor: PartName, spans: Iterable[tuple[int, int]], size: int | None, digest: str
    ) -> None:
        if not self.files.copy_from(donor, part, spans):
            return
        if part.assembly.size is None:
            part.assembly.size = size
        part.assembly.digest = part.assembly.digest or digest
        self._unsaved.mark_changed(part)
        self._unsaved.mark_obsolete(donor)
