"""What has to be on disk before the offsets of the messages that were taken may be committed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from dfud.downloading.part import Part
from dfud.downloading.part_metadata import PartName
from dfud.downloading.parts_folder import PartsFolder

_MAX_RELEASED = 10_000  # names that are remembered


class Snapshot(NamedTuple):
    """What a checkpoint puts on disk."""

    metadata: list[tuple[PartName, bytes]]
    obsolete: list[PartName]  # parts to be removed afterwards: their bytes are in other parts now


class UnsavedChanges:
    """Responsible for what has changed since the last snapshot, and for snapshots until they are on disk."""

    def __init__(self, parts: Mapping[bytes, Part], folder: PartsFolder) -> None:
        """`parts` are those in memory, by identity, and stay up to date."""
        self._parts = parts
        self._folder = folder
        self._changed: dict[bytes, Part] = {}  # their metadata has to be written
        # Metadata of parts that other fetchers merge, and of those that were made so and are in place.
        self._gone: list[tuple[PartName, bytes]] = []
        self._released_names: dict[PartName, None] = {}  # of parts that were released recently
        self._obsolete: list[PartName] = []
        self._owed: set[PartName] = set()  # parts that were put in place, and whose metadata stays for now

    def __contains__(self, part: Part) -> bool:
        """Return whether the metadata of `part` has to be written."""
        return self._changed.get(part.identity) is part

    def mark_changed(self, part: Part) -> None:
        """Include the metadata of `part` in the next snapshot."""
        self._changed[part.identity] = part

    def mark_obsolete(self, name: PartName) -> None:
        """Remove a part once the parts that now have its bytes are on disk."""
        self._obsolete.append(name)

    def mark_released(self, part: Part) -> None:
        """Include the metadata of a part in the next snapshot, although it is going to be forgotten here.

        The offsets of its chunks are committed here, whatever becomes of the fetcher that merges it, or of the
        receipt that it owes.
        """
        if part in self or not part.has_metadata:
            self._gone.append((part.name, part.metadata().to_json()))
        self._released_names[part.name] = None
        while len(self._released_names) > _MAX_RELEASED:
            del self._released_names[next(iter(self._released_names))]

    def mark_owed(self, part: Part) -> None:
        """Leave the metadata of a part that was put in place on disk, if it is there, until `forget_owed`.

        If others were merged into it, the next snapshot has it: it takes the place of theirs, whose offsets may be
        committed.
        """
        self._owed.add(part.name)
        if part.is_merged:
            self._gone.append((part.name, part.metadata().to_json()))

    def is_owed(self, name: PartName) -> bool:
        """Return whether the metadata of a part stays on disk."""
        return name in self._owed

    def forget_owed(self, names: Iterable[PartName]) -> None:
        """Remove the metadata of parts that were put in place."""
        for name in names:
            self._owed.discard(name)
            self._folder.remove_metadata(name)

    def forget(self, part: Part) -> None:
        """Leave the metadata of `part` out of the next snapshot."""
        if self._changed.get(part.identity) is part:
            del self._changed[part.identity]

    def snapshot(self) -> Snapshot:
        """Return what has changed since the last snapshot."""
        changed = [part for part in self._changed.values() if not part.is_in_place]
        metadata = [(part.name, part.metadata().to_json()) for part in changed]
        snapshot = Snapshot(metadata + self._gone, self._obsolete)
        self._changed, self._gone, self._obsolete = {}, [], []
        return snapshot

    def on_saved(self, snapshot: Snapshot) -> None:
        """Clean up after a snapshot that is on disk."""
        for name, _ in snapshot.metadata:
            part = self._find(name)
            if part is not None:
                part.has_metadata = True
            elif name not in self._released_names and name not in self._owed:
                self._folder.remove_metadata(name)  # the part was completed meanwhile
        for name in snapshot.obsolete:
            self._folder.remove(name)

    def on_failed(self, snapshot: Snapshot) -> None:
        """Take back a snapshot that could not be put on disk."""
        for name, text in snapshot.metadata:
            part = self._find(name)
            if part is not None:
                self._changed[name.identity] = part
                part.has_metadata = True  # it may have been published before the failure
            elif name in self._released_names or name in self._owed:
                self._gone.append((name, text))
        self._obsolete += snapshot.obsolete

    def _find(self, name: PartName) -> Part | None:
        part = self._parts.get(name.identity)
        return part if part is not None and part.name == name else None
