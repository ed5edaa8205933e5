"""Turns messages into files: writes every chunk to its part, and puts every complete part in place."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from dfud.core.assembly import new_hasher
from dfud.core.chunk import BadMessageError, Chunk, ForeignMessageError
from dfud.core.decode import read_chunk
from dfud.downloading.counts import DownloadCounts
from dfud.downloading.disk import Disk
from dfud.downloading.part import Part
from dfud.downloading.part_store import PartStore
from dfud.downloading.parts_folder import PartsFolder
from dfud.downloading.placement import Placement
from dfud.downloading.refusals import Refusals
from dfud.files.confined import ConfinedTree
from dfud.messages import Released

_MAX_EXPECTING_PARTS = 1_000  # whose next chunk is known


class KafkaMessage(Protocol):
    """What is used of a message of confluent_kafka."""

    def key(self) -> Any:
        """Return the key, or None."""

    def value(self) -> Any:
        """Return the value, or None."""

    def headers(self) -> Any:
        """Return the headers as a list of pairs, or None."""

    def partition(self) -> Any:
        """Return the number of the partition."""

    def offset(self) -> Any:
        """Return the offset in the partition."""


class Assembler:
    """Responsible for turning one fetcher's messages into files; `counts` says what became of them."""

    def __init__(
        self,
        tree: ConfinedTree,
        folder: PartsFolder,
        fetcher: int,
        disk: Disk,
        is_shared: bool,
        accepts: Callable[[bytes], bool],
        report: Callable[[int, str], None],
    ) -> None:
        """Write below `tree` as the fetcher with number `fetcher`; `is_shared` says that there are others.

        Files whose paths `accepts` returns False for are left out. `report(level, text)` notifies the user.
        """
        self.counts = DownloadCounts()
        self.store = PartStore(tree, folder, fetcher, disk, self._on_unwritable, report)
        self._tree = tree
        self._accepts = accepts
        self._files = self.store.files
        self._refusals = Refusals(self.counts, report)
        self._placement = Placement(tree, folder, self.store, disk, is_shared, self.counts, report)
        self._expecting: dict[bytes, Part] = {}  # by key of their messages

    def close(self) -> None:
        """Close all files."""
        self.store.close()
        self._placement.close()

    def place_earlier(self) -> None:
        """Put in place what earlier runs have left complete."""
        for part in self.store.load_earlier():
            self._placement.finish(part)

    def merge(self, identity: bytes, donors: Iterable[Released]) -> None:
        """Merge what other fetchers have of a version, and put it in place if that makes it complete."""
        part = self.store.merge(identity, donors)
        if part is not None and part.assembly.is_whole:
            self._placement.finish(part)

    # -- messages

    def take(self, messages: Iterable[KafkaMessage]) -> None:
        """Take messages in the order of their partitions; when this returns, their bytes are written."""
        n_messages = n_bytes = 0
        write, expecting = self._files.write, self._expecting
        for message in messages:
            n_messages += 1
            key, value, headers = message.key(), message.value(), message.headers()
            part = expecting.get(key)
            if part is not None:
                offset = part.expected.accept(value, headers)
                if offset is not None:
                    write(part, offset, value)
                    part.assembly.add(offset, value)
                    n_bytes += len(value)
                    continue
            n_bytes += self._take(key, value, headers, message)
        self._files.flush()
        self.counts.messages += n_messages
        self.counts.bytes += n_bytes

    def _take(self, key: bytes | None, value: bytes | None, headers: Any, message: KafkaMessage) -> int:
        """Take any message; return the number of bytes of its chunk."""
        try:
            chunk = read_chunk(key, value, headers)
        except ForeignMessageError:
            self.counts.foreign += 1
            return 0
        except BadMessageError as error:
            self._refusals.refuse(key, f"{error} (partition {message.partition()}, offset {message.offset()})")
            return 0
        if not self._accepts(chunk.path):
            self.counts.left_out += 1
        elif chunk.n_chunks == 1:
            self._take_file(chunk)
        else:
            self._take_chunk(chunk, key or b"")
        return len(chunk.data)

    # -- files of one chunk

    def _take_file(self, chunk: Chunk) -> None:
        """Take the only chunk of a file."""
        if not chunk.digest:
            self._refusals.refuse(chunk.path, "its only chunk lacks the digest of the file")
            return
        hasher = new_hasher(chunk.algorithm)
        hasher.update(chunk.data)
        if hasher.hexdigest() != chunk.digest:
            self._refusals.refuse(chunk.path, "its bytes do not match the digest of the file")
            return
        identity = chunk.identity()
        part = self.store.find(identity)
        if part is not None:  # it was sent in several chunks, too, or could not be put in place
            self.store.remove(part)
        status = self._tree.stat_file(chunk.path)
        if status is not None and chunk.mtime_ns is not None:
            if status.st_mtime_ns > chunk.mtime_ns:
                self.counts.superseded += 1
                return
            if (status.st_mtime_ns, status.st_size) == (chunk.mtime_ns, len(chunk.data)) and self._is_there(chunk):
                self.counts.duplicates += 1
                return
        part = self.store.begin(identity, chunk)
        part.learn(chunk)
        if chunk.data:
            self._files.write_file(part, chunk.data)
            part.assembly.add(0, chunk.data)
        self._placement.place(part)

    def _is_there(self, chunk: Chunk) -> bool:
        """Return whether the file in place has the bytes of `chunk`, and no others."""
        try:
            descriptor = self._tree.open(chunk.path)
        except OSError:
            return False
        try:
            return os.pread(descriptor, len(chunk.data) + 1, 0) == chunk.data
        except OSError:
            return False
        finally:
            os.close(descriptor)

    # -- files of several chunks

    def _take_chunk(self, chunk: Chunk, key: bytes) -> None:
        """Take one chunk of several."""
        identity = chunk.identity()
        if self._refusals.is_refused(identity):
            self.counts.refused += 1
            return
        part = self.store.find(identity) or self._begin(identity, chunk)
        if part is None:
            self.counts.superseded += 1
            return
        if not part.is_in_place:
            self._files.open(part)  # now, because a part whose file was removed starts over
        part.learn(chunk)
        offset, length = chunk.offset, len(chunk.data)
        if part.is_in_place or part.assembly.has(offset, length):
            if self._files.read(part, length, offset) == chunk.data:
                self.counts.duplicates += 1
                if part.is_in_place:
                    return
            else:
                self._overwrite(part, chunk)
        else:
            self._add(part, chunk)
        if part.is_unwritable:
            return
        self.store.on_changed(part)
        if part.expected.follow(chunk, part.assembly.spans):
            self._expect(key, part)
        if part.assembly.is_whole:
            is_last = chunk.number == chunk.n_chunks
            if not part.failure or (part.is_overwritten and is_last):
                self._placement.finish(part)

    def _begin(self, identity: bytes, chunk: Chunk) -> Part | None:
        """Return a new part, or None if a newer version is in place."""
        status = self._tree.stat_file(chunk.path)
        if status is not None and chunk.mtime_ns is not None:
            if status.st_mtime_ns > chunk.mtime_ns:
                return None
            if status.st_mtime_ns == chunk.mtime_ns and chunk.size in (None, status.st_size):
                return self.store.begin_in_place(identity, chunk, status.st_size)
        return self.store.begin(identity, chunk)

    def _add(self, part: Part, chunk: Chunk) -> None:
        self._files.write(part, chunk.offset, chunk.data)
        part.assembly.add(chunk.offset, chunk.data)

    def _overwrite(self, part: Part, chunk: Chunk) -> None:
        """Replace bytes that are there by others: what was received last counts."""
        if part.is_in_place:
            self._files.detach(part)
        part.is_overwritten = True
        self._add(part, chunk)

    def _expect(self, key: bytes, part: Part) -> None:
        if len(self._expecting) >= _MAX_EXPECTING_PARTS:
            self._expecting.clear()
        self._expecting[key] = part

    def _on_unwritable(self, part: Part, error: OSError) -> None:
        reason = f"its chunks cannot be written: {error.strerror or error}"
        self._refusals.refuse_version(part.identity, part.path, reason)
        self.store.remove(part)
