"""The parts of one fetcher: those in memory, and those that are known by their notes only."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable
from typing import NamedTuple

from dfud.core.chunk import SHA512, Chunk
from dfud.core.ranges import RangeSet
from dfud.core.text import printable
from dfud.downloading.disk import Disk
from dfud.downloading.part import Part
from dfud.downloading.parts import PART, PartMetadata, PartName, PartsFolder
from dfud.files.confined import ConfinedTree
from dfud.messages import PartReport, Ranges, Released

_MAX_OPEN = 128  # parts with their file open
MAX_PARTS = 10_000  # parts in memory
_FEW = 1_000  # ranges; with more, they are told of less often


class Snapshot(NamedTuple):
    """What is to be put on disk before offsets may be committed."""

    notes: list[tuple[PartName, bytes]]
    rubbish: list[PartName]  # parts to be removed afterwards: what was in them is elsewhere


class PartStore:
    """Responsible for finding parts, for their files and notes, and for what other fetchers take over.

    Whoever uses it writes the chunks that wait before anything but `find`, `begin` and `descriptor` is called.
    """

    def __init__(
        self, tree: ConfinedTree, folder: PartsFolder, worker: int, disk: Disk, tell: Callable[[int, str], None]
    ) -> None:
        self.busy: Part | None = None  # chunks of it wait to be written: its file stays open
        self._tree = tree
        self._folder = folder
        self._worker = worker
        self._disk = disk
        self._tell = tell
        self._parts: dict[bytes, Part] = {}  # by identity
        self._saved: dict[bytes, list[PartName]] = {}  # parts that are not in memory
        self._open: dict[bytes, Part] = {}  # those with their file open, the one longest open first
        self._dirty: dict[bytes, Part] = {}  # their notes are to be written
        self._touched: dict[bytes, Part] = {}  # the supervisor has not been told of their present bytes
        self._given: list[tuple[PartName, bytes]] = []  # notes of parts that another fetcher takes over
        self._away: dict[PartName, None] = {}  # parts that were given to another fetcher lately
        self._rubbish: list[PartName] = []  # to be removed once what they went into is on disk
        self._done: list[bytes] = []  # parts that the supervisor knows of, and that there are no longer
        self._found: list[tuple[bytes, int | None, Ranges]] = []  # parts of earlier runs, for the supervisor

    # -- finding

    def __contains__(self, identity: bytes) -> bool:
        """Tell whether a part is in memory."""
        return identity in self._parts

    def find(self, identity: bytes) -> Part | None:
        """Return the part of a version, if there is one."""
        part = self._parts.get(identity)
        if part is None and identity in self._saved:
            part = self._load(self._saved.pop(identity))
            if part is not None:
                self._parts[identity] = part
        return part

    def begin(self, identity: bytes, piece: Chunk) -> Part:
        """Return a new part, its file open."""
        part = Part(PartName.new(identity, self._worker), piece)
        self._opened(part, self._disk.patiently(lambda: self._folder.create(part.name)))
        self._parts[identity] = part
        return part

    def begin_in_place(self, identity: bytes, piece: Chunk, size: int) -> Part:
        """Return a part that is the file in its place, of `size` bytes, until a chunk proves to be another."""
        part = Part(PartName.new(identity, self._worker), piece)
        part.in_place = True
        part.assembly.size = size
        self._parts[identity] = part
        return part

    def take_over(self) -> list[Part]:
        """Find the parts that earlier runs have left to this fetcher; return those that are whole."""
        whole = []
        for name, note in self._folder.notes():
            if name.worker != self._worker:
                continue
            if self._is_in_place(note):
                self._folder.remove(name)
                continue
            self._saved.setdefault(name.identity, []).append(name)
            self._found.append((name.identity, note.size, note.spans.ranges()))
            if note.digest and note.size is not None and note.spans.covers(note.size):
                whole.append(name.identity)
        several = [identity for identity, names in self._saved.items() if len(names) > 1]
        parts = [self.find(identity) for identity in dict.fromkeys(whole + several)]
        return [part for part in parts if part is not None and part.assembly.is_whole]

    def _is_in_place(self, note: PartMetadata) -> bool:
        """Tell whether what a part went into was put in its place just before a crash."""
        there = self._tree.stat_file(note.path)
        if there is None or (note.mtime_ns, note.trouble) != (there.st_mtime_ns, ""):
            return False
        # A part with all bytes is a copy of the file in its place, and has got other bytes since.
        return note.size in (None, there.st_size) and not note.spans.covers(there.st_size)

    def _load(self, names: list[PartName]) -> Part | None:
        """Return the part of these names; None if its files were removed."""
        part = None
        for name in names:
            try:
                note = self._folder.note(name)
                os.stat(f"{name}{PART}", dir_fd=self._folder.descriptor)
            except (OSError, ValueError):
                continue
            if part is None:
                part = Part.from_note(name, note)
            else:
                self._merge(part, name, note.spans, note.size, note.digest)
        return part

    # -- files

    def descriptor(self, part: Part) -> int:
        """Return the open file of a part; OSError where that is the file in its place, and it is gone."""
        if part.descriptor >= 0:
            return part.descriptor
        if part.in_place:
            self._opened(part, self._tree.open(part.path))
            return part.descriptor
        try:
            descriptor = self._disk.patiently(lambda: self._folder.open(part.name))
        except OSError as problem:
            why = f"the part of {printable(part.path)} was removed ({problem.strerror}): it begins anew"
            self._tell(logging.WARNING, why)
            part.assembly.spans = RangeSet()
            part.assembly.restart_hash()
            part.name = PartName.new(part.name.identity, self._worker)
            part.has_note = False
            descriptor = self._disk.patiently(lambda: self._folder.create(part.name))
        self._opened(part, descriptor)
        return descriptor

    def _opened(self, part: Part, descriptor: int) -> None:
        part.descriptor = descriptor
        self._open[part.name.identity] = part
        if len(self._open) > _MAX_OPEN:
            for oldest in self._open.values():
                if oldest is not part and oldest is not self.busy:
                    self.close_file(oldest)
                    return

    def close_file(self, part: Part) -> None:
        if part.descriptor >= 0:
            os.close(part.descriptor)
            part.descriptor = -1
            self._open.pop(part.name.identity, None)

    def start_from_place(self, part: Part) -> None:
        """Make a part of a copy of the file in its place, which has turned out to have other bytes."""
        try:
            source = self.descriptor(part)
        except OSError:  # it is gone: the part begins empty
            source = -1
        target = self._disk.patiently(lambda: self._folder.create(part.name))
        if source >= 0 and part.assembly.size:
            self._disk.copy(source, target, 0, part.assembly.size)
            part.assembly.spans.add(1, part.assembly.size)
        self.close_file(part)
        part.in_place = False
        self._opened(part, target)
        part.assembly.restart_hash()

    def wrote(self, part: Part) -> None:
        """Take note that a part has got new bytes, or is otherwise not what its note says."""
        self._dirty[part.name.identity] = part
        self._touched[part.name.identity] = part

    def drop(self, part: Part, remove: bool = False) -> None:
        """Forget a part that is done with; `remove` its file, too, where it has not been moved away."""
        if part.shared:
            self._done.append(part.name.identity)
        if remove:
            self._folder.remove(part.name)
        elif part.has_note:
            self._folder.remove_note(part.name)
        self._forget(part)

    def _forget(self, part: Part) -> None:
        """Let go of a part in memory; its files are another matter."""
        identity = part.name.identity
        self.close_file(part)
        for table in (self._parts, self._dirty, self._touched):
            if table.get(identity) is part:
                del table[identity]
        part.next_number = 0

    def close(self) -> None:
        """Close all files."""
        for part in list(self._open.values()):
            self.close_file(part)

    # -- what outlives us

    def snapshot(self) -> Snapshot:
        """Return what must be on disk before the messages taken so far are done with."""
        notes = [(part.name, part.note()) for part in self._dirty.values() if not part.in_place]
        notes += self._given
        rubbish = self._rubbish
        self._dirty, self._given, self._rubbish = {}, [], []
        return Snapshot(notes, rubbish)

    def saved(self, snapshot: Snapshot) -> None:
        """Take note that a snapshot is on disk."""
        for name, _ in snapshot.notes:
            part = self._parts.get(name.identity)
            if part is not None and part.name == name:
                part.has_note = True
            elif name not in self._away:
                self._folder.remove_note(name)  # the part became whole meanwhile
        for name in snapshot.rubbish:
            self._folder.remove(name)
        self._let_go()

    def not_saved(self, snapshot: Snapshot) -> None:
        """Take back a snapshot that could not be put on disk."""
        for name, text in snapshot.notes:
            part = self._parts.get(name.identity)
            if part is not None and part.name == name:
                self._dirty[name.identity] = part
                part.has_note = True  # it may have been put in its place before the failure
            elif name in self._away:
                self._given.append((name, text))
        self._rubbish += snapshot.rubbish

    def _let_go(self) -> None:
        """Keep no more parts in memory than we must."""
        for identity, part in list(self._parts.items()):
            if len(self._parts) <= MAX_PARTS:
                return
            if identity not in self._dirty and part is not self.busy and (part.has_note or part.in_place):
                if part.has_note:
                    self._saved[identity] = [part.name]
                self._forget(part)

    # -- files whose chunks come to several fetchers

    def spread(self) -> list[PartReport]:
        """Return what is new of OpenMSIStream's files, whose chunks lie in all partitions."""
        few = [p for p in self._touched.values() if p.algorithm == SHA512 and p.assembly.spans.n_ranges < _FEW]
        return self._tell_of(few)

    def held(self) -> list[PartReport]:
        """Return what is new of all parts, for the rare file whose chunks lie in several partitions."""
        return self._tell_of(list(self._touched.values()))

    def _tell_of(self, parts: list[Part]) -> list[PartReport]:
        told = [PartReport(identity, size, spans) for identity, size, spans in self._found]
        told += [PartReport(identity, None, ()) for identity in self._done]
        self._found, self._done = [], []
        for part in parts:
            self._touched.pop(part.name.identity, None)
            if not part.in_place and not part.trouble:
                part.shared = True
                told.append(PartReport(part.name.identity, part.assembly.size, part.assembly.spans.ranges()))
        return told

    def give(self, identity: bytes) -> Released:
        """Hand over a part to the fetcher that makes the file whole."""
        part = self.find(identity)
        if part is None or part.in_place:
            return Released(identity, "", None, "", ())
        if not part.has_note or identity in self._dirty:
            self._given.append((part.name, part.note()))
        self._away[part.name] = None
        while len(self._away) > MAX_PARTS:
            del self._away[next(iter(self._away))]
        assembly = part.assembly
        given = Released(identity, str(part.name), assembly.size, assembly.digest, assembly.spans.ranges())
        self._forget(part)
        return given

    def merge(self, identity: bytes, donors: Iterable[Released]) -> Part | None:
        """Take over what other fetchers have of a file; return its part, if it is not in its place already."""
        part = self.find(identity)
        if part is not None and part.in_place:
            part = None
        for donor in donors:
            name = PartName.parse(donor.name)
            if name is None:
                continue
            if part is None:
                self._rubbish.append(name)
            else:
                self._merge(part, name, donor.spans, donor.size, donor.digest)
        return part

    def _merge(
        self, part: Part, name: PartName, spans: Iterable[tuple[int, int]], size: int | None, digest: str
    ) -> None:
        try:
            source = self._folder.open(name)
        except OSError:  # it was removed
            return
        try:
            target = self.descriptor(part)
            for first, last in spans:
                for start, end in part.assembly.spans.gaps(first, last):
                    self._disk.copy(source, target, start - 1, end - start + 1)
                part.assembly.spans.add(first, last)
        finally:
            os.close(source)
        part.assembly.restart_hash()
        if part.assembly.size is None:
            part.assembly.size = size
        part.assembly.digest = part.assembly.digest or digest
        self._dirty[part.name.identity] = part
        self._rubbish.append(name)
