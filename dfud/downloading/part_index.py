"""Which parts a fetcher has: by identity, by path, and by how long they have got nothing."""

from __future__ import annotations

from dfud.downloading.part import Part
from dfud.downloading.part_metadata import PartName


class PartIndex:
    """Responsible for finding parts; it opens and removes nothing."""

    def __init__(self) -> None:
        """Begin with no parts."""
        self.in_memory: dict[bytes, Part] = {}  # by identity; the one that got nothing for longest comes first
        self.on_disk: dict[bytes, list[PartName]] = {}  # by identity, parts that are not in memory
        self._of_path: dict[bytes, set[bytes]] = {}  # by path, the identities of the parts in memory

    def __len__(self) -> int:
        """Return how many there are, in memory and on disk."""
        return len(self.in_memory) + len(self.on_disk)

    def add(self, part: Part) -> None:
        """Note a part that is in memory."""
        self.in_memory[part.identity] = part
        self._of_path.setdefault(part.path, set()).add(part.identity)

    def discard(self, part: Part) -> None:
        """Forget a part in memory, if it is there."""
        if self.in_memory.get(part.identity) is part:
            del self.in_memory[part.identity]
            same_path = self._of_path[part.path]
            same_path.discard(part.identity)
            if not same_path:
                del self._of_path[part.path]

    def touch(self, part: Part) -> None:
        """Note that a part got something last."""
        if self.in_memory.pop(part.identity, None) is not None:
            self.in_memory[part.identity] = part

    def of_path(self, path: bytes) -> list[Part]:
        """Return the parts in memory of all versions of a file."""
        return [self.in_memory[identity] for identity in self._of_path.get(path, ())]

    def oldest(self, n: int) -> list[bytes]:
        """Return the identities of `n` parts that have got nothing for longest: those on disk, then others."""
        return [*self.on_disk, *self.in_memory][:n]
