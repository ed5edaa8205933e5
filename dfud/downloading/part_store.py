"""The parts of one fetcher, in memory or only on disk."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterable

from dfud.core.chunk import Chunk
from dfud.core.sent import Sent
from dfud.downloading.disk import Disk
from dfud.downloading.obsolete import ObsoleteParts
from dfud.downloading.part import Part
from dfud.downloading.part_files import PartFiles
from dfud.downloading.part_index import PartIndex
from dfud.downloading.part_loader import PartLoader
from dfud.downloading.part_metadata import PartName
from dfud.downloading.part_reports import PartReports
from dfud.downloading.parts_folder import PartsFolder
from dfud.downloading.supervisor_link import Report
from dfud.downloading.unsaved import Snapshot, UnsavedChanges
from dfud.files.confined import ConfinedTree
from dfud.messages import Released

MAX_PARTS = 10_000  # in memory
MAX_INCOMPLETE = (
    200_000  # in memory and on disk; so many chunks of OpenMSIStream's may one fetcher be ahead of another
)
_DROPPED_AT_ONCE = 100  # when there are too many, or the disk is full


class PartStore:
    """Responsible for finding, beginning and dropping parts, and for passing them to and from other fetchers.

    `files` reads and writes their bytes; `reports` collects what the supervisor has to know about them; `obsolete`
    tells which of them nobody needs.
    """

    def __init__(
        self,
        tree: ConfinedTree,
        folder: PartsFolder,
        fetcher: int,
        disk: Disk,
        on_unwritable: Callable[[Part, OSError], None],
        on_dropped: Callable[[Part, str], None],
        report: Report,
    ) -> None:
        """Hold the parts of the fetcher with number `fetcher`; `on_unwritable` is that of `PartFiles`.

        `on_dropped` is called with a part that is given up, and the reason.
        """
        self._tree = tree
        self._folder = folder
        self._fetcher = fetcher
        self._on_dropped = on_dropped
        self._index = PartIndex()
        self._current: Part | None = None  # the one that was asked for last
        self.obsolete = ObsoleteParts(tree, folder)
        self._unsaved = UnsavedChanges(self._index.in_memory, folder)
        self.reports = PartReports()
        disk.before_wait = self._drop_if_full
        self.files = PartFiles(tree, folder, disk, self.on_changed, on_unwritable, report)
        self._loader = PartLoader(folder, self.files, self._unsaved, self.obsolete)

    # -- finding and beginning

    def __contains__(self, identity: bytes) -> bool:
        """Return whether the part of a version is in memory."""
        return identity in self._index.in_memory

    def find(self, identity: bytes) -> Part | None:
        """Return the part of a version, or None if there is none."""
        self._current = self._find(identity)
        return self._current

    def _find(self, identity: bytes) -> Part | None:
        part = self._index.in_memory.get(identity)
        if part is None and identity in self._index.on_disk:
            part = self._loader.load(self._index.on_disk.pop(identity))
            if part is not None:
                self._index.add(part)
        return part

    def begin(self, identity: bytes, chunk: Chunk) -> Part:
        """Return a new part with a file of its own."""
        part = self.begin_file(identity, chunk)
        self._index.add(part)
        self._current = part
        if len(self._index) > MAX_INCOMPLETE:
            self._drop_oldest(f"more than {MAX_INCOMPLETE:,} files are incomplete")
        return part

    def begin_file(self, identity: bytes, chunk: Chunk) -> Part:
        """Return a new part that gets all of its bytes at once, and is not found before it is adopted."""
        part = Part(PartName.new(identity, self._fetcher), chunk)
        self.files.create(part)
        return part

    def adopt(self, part: Part) -> None:
        """Keep a part that was not found yet, in place of another one of the same version."""
        other = self.find(part.identity)
        if other is not part:
            if other is not None:
                self.remove(other)
            self._index.add(part)

    def begin_in_place(self, identity: bytes, chunk: Chunk, size: int, placed: Sent) -> Part:
        """Return a part that is the file in place until a chunk proves to differ from it.

        That file has `size` bytes, and was sent at `placed`.
        """
        part = Part(PartName.new(identity, self._fetcher), chunk)
        part.is_in_place = True
        part.placed = placed
        part.assembly.size = size
        self._index.add(part)
        return part

    def load_earlier(self, keeps_incomplete: bool = True) -> list[Part]:
        """Find the parts that earlier runs have left to this fetcher; return those that are complete."""
        complete = []
        for name, metadata in self._folder.list_parts():
            if name.fetcher != self._fetcher:
                continue
            if self.obsolete.remove(name, metadata):
                continue
            if not (keeps_incomplete or metadata.failure):
                self._folder.remove(name)
                continue
            self._index.on_disk.setdefault(name.identity, []).append(name)
            self.reports.on_loaded(name.identity, metadata)
            if metadata.digest and metadata.is_complete:
                complete.append(name.identity)
        duplicated = [identity for identity, names in self._index.on_disk.items() if len(names) > 1]
        parts = [self.find(identity) for identity in dict.fromkeys(complete + duplicated)]
        return [part for part in parts if part is not None and part.is_complete]

    # -- changing and dropping

    def on_changed(self, part: Part) -> None:
        """Note that a part has new bytes, or that something else in its metadata has changed."""
        self._index.touch(part)
        self._unsaved.mark_changed(part)
        self.reports.on_changed(part)

    def keep_metadata(self, part: Part) -> bool:
        """Keep the metadata of a part on disk until `forget_owed`; return False if there can be none."""
        is_found = self._index.in_memory.get(part.identity) is part
        if is_found:
            self._unsaved.mark_owed(part)
        return is_found

    def drop(self, part: Part) -> None:
        """Forget a part that was put in place, and remove its metadata, unless that is kept."""
        if part.has_metadata and not self._unsaved.is_owed(part.name):
            self._folder.remove_metadata(part.name)
        self.reports.on_dropped(part)
        self._forget(part)

    def is_owed(self, name: PartName) -> bool:
        """Return whether the metadata of a part that was put in place is kept."""
        return self._unsaved.is_owed(name)

    def forget_owed(self, names: Iterable[PartName]) -> None:
        """Remove the metadata of parts that were put in place."""
        self._unsaved.forget_owed(names)

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
        self._index.discard(part)
        part.expected.forget()

    def drop_superseded(self, placed: Part) -> int:
        """Remove the parts of other versions that were sent before the one put in place; return how many.

        Those that are not in memory are removed at the end of the run.
        """
        superseded = [each for each in self._index.of_path(placed.path) if not self._is_after(each, placed)]
        for part in superseded:
            self.remove(part)
        return len(superseded)

    @staticmethod
    def _is_after(part: Part, placed: Part) -> bool:
        return part.sent is not None and placed.sent is not None and part.sent.is_after(placed.sent)

    # -- too many of them

    def _drop_if_full(self, error: OSError) -> bool:
        """Make room on a full disk if there are many incomplete files; return whether there is any."""
        if error.errno not in (errno.ENOSPC, errno.EDQUOT) or len(self._index) <= MAX_PARTS:
            return False
        return self._drop_oldest(f"the disk is full, and more than {MAX_PARTS:,} files are incomplete")

    def _drop_oldest(self, reason: str) -> bool:
        """Give up parts that have got nothing for long, those of earlier runs first; return whether it did.

        Those that nobody needs go without a word.
        """
        n_dropped = 0
        for identity in self._index.oldest(_DROPPED_AT_ONCE):
            part = self._find(identity)
            if part is None or part is self._current or self.files.is_in_use(part):
                continue
            n_dropped += 1
            if part.is_in_place:
                self.remove(part)
            elif self.obsolete.remove(part.name, part.metadata()):
                self._forget_repeated(part)
            else:
                self._on_dropped(part, reason)
                self.remove(part)
        return n_dropped > 0

    def _forget_repeated(self, part: Part) -> None:
        """Forget a part that was removed as obsolete, but for metadata by which a receipt is owed."""
        if self._folder.keeps_placed:
            self._unsaved.mark_released(part)
        self.reports.on_dropped(part)
        self._forget(part)

    # -- other members of a group

    def is_incomplete(self, identity: bytes) -> bool:
        """Return whether a version lacks chunks."""
        part = self._index.in_memory.get(identity)
        if part is None:
            return identity in self._index.on_disk
        return not (part.is_in_place or part.failure)

    def drop_incomplete(self, identities: Iterable[bytes]) -> None:
        """Drop what is incomplete of some versions: another member of the group reads it."""
        for identity in identities:
            part = self.find(identity) if self.is_incomplete(identity) else None
            if part is not None:
                self.remove(part)

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
        for part in list(self._index.in_memory.values()):
            if len(self._index.in_memory) <= MAX_PARTS:
                return
            if part not in self._unsaved and (part.has_metadata or part.is_in_place):
                if part.has_metadata:
                    self._index.on_disk[part.identity] = [part.name]
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
        first, sent = str(part.first or ""), str(part.sent or "")
        spans = assembly.spans.ranges()
        released = Released(identity, str(part.name), assembly.size, assembly.digest, spans, first, sent)
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
                self._loader.merge(part, name, donor.spans, donor.size, donor.digest)
                part.feed(Sent.parse(donor.first), Sent.parse(donor.sent))
        return part
