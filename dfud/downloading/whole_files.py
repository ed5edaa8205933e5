"""Files of one chunk: each is written as it comes, and many are put in place together."""

from __future__ import annotations

from dfud.core.assembly import new_hasher
from dfud.core.chunk import Chunk
from dfud.core.sent import Sent
from dfud.downloading.confirmation import Confirmation
from dfud.downloading.counts import DownloadCounts
from dfud.downloading.part import Part
from dfud.downloading.part_store import PartStore
from dfud.downloading.placement import Placement
from dfud.downloading.refusals import Refusals

_MAX_WAITING = 64  # each has an open file


class WholeFiles:
    """Responsible for files that a single message brings; `place` puts those in place that still wait for it."""

    def __init__(
        self,
        store: PartStore,
        placement: Placement,
        refusals: Refusals,
        counts: DownloadCounts,
        confirmation: Confirmation | None,
    ) -> None:
        """Write files of `store`; `confirmation` owes the receipts of those that are in place already."""
        self._store = store
        self._placement = placement
        self._refusals = refusals
        self._counts = counts
        self._confirmation = confirmation
        self._waiting: dict[bytes, Part] = {}  # by path

    def take(self, chunk: Chunk, sent: Sent) -> None:
        """Take the only chunk of a file."""
        if not chunk.digest:
            self._refusals.refuse(chunk.path, "its only chunk lacks the digest of the file")
            return
        hasher = new_hasher(chunk.algorithm)
        hasher.update(chunk.data)
        if hasher.hexdigest() != chunk.digest:
            self._refusals.refuse(chunk.path, "its bytes do not match the digest of the file")
            return
        if chunk.path in self._waiting:
            self.place()
        identity = chunk.identity()
        other = self._store.find(identity)
        if other is not None and (other.sent is None or sent.is_after(other.sent)):
            self._store.remove(other)  # it was sent in several chunks, too, or could not be put in place
        is_there = self._placement.is_there(chunk, sent)
        if is_there is None:
            self._counts.superseded += 1
        elif is_there:
            self._counts.duplicates += 1
            if self._confirmation is not None:
                self._confirmation.confirm_file(chunk, sent.topic_id)
        else:
            self._write(identity, chunk, sent)

    def _write(self, identity: bytes, chunk: Chunk, sent: Sent) -> None:
        part = self._store.begin_file(identity, chunk)
        part.feed(sent)
        part.learn(chunk)
        if chunk.data:
            self._store.files.write_file(part, chunk.data)
            part.assembly.spans.add(1, len(chunk.data))
        self._waiting[chunk.path] = part
        if len(self._waiting) >= _MAX_WAITING:
            self.place()

    def place(self) -> None:
        """Put in place what has been taken."""
        if self._waiting:
            waiting, self._waiting = self._waiting, {}
            self._placement.place(*waiting.values())
