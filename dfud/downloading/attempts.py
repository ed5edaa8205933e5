"""To which part a chunk belongs, if a version was sent more than once, or is read again."""

from __future__ import annotations

from dfud.core.chunk import Chunk
from dfud.core.sent import Sent
from dfud.downloading.part import Part
from dfud.downloading.part_store import PartStore
from dfud.downloading.placed import placed_sent
from dfud.files.confined import ConfinedTree


class Attempts:
    """Responsible for telling the chunks of one attempt to send a version from those of another."""

    def __init__(self, tree: ConfinedTree, store: PartStore) -> None:
        """Find and begin parts of `store`, for files below `tree`."""
        self._tree = tree
        self._store = store

    def part_of(self, identity: bytes, chunk: Chunk, sent: Sent) -> Part | None:
        """Return the part that is to get a chunk; None if the chunk is superseded."""
        part = self._find(identity, sent) or self._begin(identity, chunk, sent)
        return None if self._is_of_earlier_attempt(part, chunk, sent) else part

    def _find(self, identity: bytes, sent: Sent) -> Part | None:
        """Return the part of a version; None if there is none, or if it is in place, but was sent again since."""
        part = self._store.find(identity)
        if part is not None and part.placed is not None and part.is_in_place and sent.is_after(part.placed):
            self._store.remove(part)
            return None
        return part

    def _begin(self, identity: bytes, chunk: Chunk, sent: Sent) -> Part:
        """Return a new part: the file in place if that has come from this message, and else one of its own.

        A version that is sent again is received again, whatever is in place: by the time it is complete, that may
        have been replaced.
        """
        status = self._tree.stat_file(chunk.path)
        if status is not None and (status.st_mtime_ns, status.st_size) == (chunk.mtime_ns, chunk.size):
            placed = placed_sent(self._tree, chunk.path)
            if placed is not None and not sent.is_after(placed):
                return self._store.begin_in_place(identity, chunk, status.st_size, placed)
        return self._store.begin(identity, chunk)

    def _is_of_earlier_attempt(self, part: Part, chunk: Chunk, sent: Sent) -> bool:
        """Return whether a chunk that is read again was sent before what is in place, but its part after that.

        Together they would make a version that seems to be sent when the part was. What a part was copied from was
        made of just such chunks, and ends as it was once all of them are read again; and so was a part whose last
        chunk is that of the file in place.
        """
        if part.placed is not None or part.sent is None or sent.is_after(part.sent):
            return False
        obsolete = self._store.obsolete
        return (
            obsolete.is_overtaken(chunk.path, sent)
            and placed_sent(self._tree, chunk.path) != part.sent
            and not obsolete.is_overtaken(chunk.path, part.sent)
        )
