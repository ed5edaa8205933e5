"""Turns messages into files: writes every chunk to its part, and puts every complete part in place."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Any

from dfud.core.chunk import BadMessageError, Chunk, ForeignMessageError
from dfud.core.decode import NOT_UTF_8, get_headers, read_chunk
from dfud.core.sent import NO_TIMESTAMP, Sent
from dfud.core.text import printable
from dfud.downloading.attempts import Attempts
from dfud.downloading.confirmation import Confirmation
from dfud.downloading.counts import DownloadCounts
from dfud.downloading.disk import Disk
from dfud.downloading.incomplete_table import describe_incomplete
from dfud.downloading.kafka_message import KafkaMessage
from dfud.downloading.owed_receipts import OwedReceipts
from dfud.downloading.part import Part
from dfud.downloading.part_store import PartStore
from dfud.downloading.parts_folder import PartsFolder
from dfud.downloading.placement import Placement
from dfud.downloading.refusals import LimitedReport, Refusals
from dfud.downloading.supervisor_link import Report
from dfud.downloading.whole_files import WholeFiles
from dfud.files.confined import ConfinedTree
from dfud.messages import Released

# Takes the key, the value and the headers of a message, and where it was sent; returns whether that is of a
# manifest. Raises ValueError if it cannot be used, and OSError.
TakeManifest = Callable[["bytes | None", "bytes | None", Any, Sent], bool]

_MAX_EXPECTING_PARTS = 1_000  # whose next chunk is known


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
        report: Report,
        claims: Callable[[Chunk, KafkaMessage], bool] | None = None,
        receipts: OwedReceipts | None = None,
        take_manifest: TakeManifest | None = None,
    ) -> None:
        """Write below `tree` as the fetcher with number `fetcher`; `is_shared` says that there are others.

        Files whose paths `accepts` returns False for are left out. `report(level, text)` notifies the user.
        `receipts` gets each file that is in its place; `take_manifest` each message that may be of a manifest.
        """
        self.counts = DownloadCounts()
        self.topic_id = ""  # of Kafka; set by whoever reads the topic, and again if that is made anew
        self.store = PartStore(tree, folder, fetcher, disk, self._on_unwritable, self._on_dropped, report)
        self._attempts = Attempts(tree, self.store)
        self._accepts = accepts
        self._fetcher = fetcher
        self._folder = folder
        self._claims = claims
        self._take_manifest = take_manifest
        self._disk = disk
        self._files = self.store.files
        self._refusals = Refusals(self.counts, report)
        self._report_dropped = LimitedReport(report, "incomplete files that are given up")
        self._placement = Placement(tree, folder, self.store, disk, is_shared, self.counts, report, receipts)
        self._confirmation = None if receipts is None else Confirmation(tree, folder, self._files, receipts)
        self._whole_files = WholeFiles(
            self.store, self._placement, self._refusals, self.counts, self._confirmation
        )
        self._expecting: dict[bytes, Part] = {}  # by key of their messages

    def close(self) -> None:
        """Close all files."""
        self.store.close()
        self._placement.close()

    def place_earlier(self) -> None:
        """Put in place what earlier runs have left complete."""
        for part in self.store.load_earlier(keeps_incomplete=self._claims is None):
            self._placement.finish(part, is_earlier=True)
        if self._confirmation is not None:
            for name, metadata in self._folder.list_placed():
                if name.fetcher == self._fetcher and not self.store.is_owed(name):
                    self._confirmation.confirm_earlier(name, metadata)

    def merge(self, identity: bytes, donors: Iterable[Released]) -> None:
        """Merge what other fetchers have of a version, and put it in place if that makes it complete."""
        part = self.store.merge(identity, donors)
        if part is not None and part.is_complete:
            self._placement.finish(part)

    def on_quiet(self, is_end: bool) -> None:
        """Do what waits until there is nothing to read for a moment, or, if `is_end`, no more in this run."""
        self._placement.doubts.on_quiet(is_end)

    def stop(self) -> None:
        """Report what was not reported yet: no more is read."""
        self._placement.doubts.report()

    # -- messages

    def take(self, messages: Iterable[KafkaMessage]) -> None:
        """Take messages in the order of their partitions; when this returns, their bytes are written."""
        n_messages = n_bytes = 0
        write, expecting = self._files.write, self._expecting
        fed: Part | None = None  # the part that got the last expected chunk
        last: KafkaMessage | None = None  # which had that chunk
        for message in messages:
            n_messages += 1
            key, value = message.key(), message.value()
            try:
                headers = get_headers(message)
            except NOT_UTF_8:
                headers = None
            part = expecting.get(key)
            if part is not None:
                offset = part.expected.accept(value, headers)
                if offset is not None:
                    if part is not fed:
                        self._feed(fed, last)
                        fed = part
                    last = message
                    write(part, offset, value)
                    part.assembly.add(offset, value)
                    n_bytes += len(value)
                    continue
            self._feed(fed, last)
            fed = None
            n_bytes += self._take(key, value, headers, message)
        self._feed(fed, last)
        self._files.flush()
        self._whole_files.place()
        self.counts.messages += n_messages
        self.counts.bytes += n_bytes

    def _feed(self, part: Part | None, message: KafkaMessage | None) -> None:
        """Note when the message was sent that a part has got last."""
        if part is not None and message is not None:
            part.feed(self._sent(message))

    def _sent(self, message: KafkaMessage) -> Sent:
        kind, timestamp_ms = message.timestamp()
        return Sent(self.topic_id, message.partition(), message.offset(), timestamp_ms if kind else NO_TIMESTAMP)

    def _take(self, key: bytes | None, value: bytes | None, headers: Any, message: KafkaMessage) -> int:
        """Take any message; return the number of bytes of its chunk."""
        if self._take_manifest is not None and self._is_manifest(key, value, headers, message):
            return 0
        try:
            chunk = read_chunk(key, value, headers)
        except ForeignMessageError:
            self.counts.foreign += 1
            return 0
        except BadMessageError as error:
            self._refusals.refuse(key, f"{error} (partition {message.partition()}, offset {message.offset()})")
            return 0
        if self._claims is not None and not self._claims(chunk, message):
            return 0
        if not self._accepts(chunk.path):
            self.counts.left_out += 1
        elif chunk.n_chunks == 1:
            self._whole_files.take(chunk, self._sent(message))
        else:
            self._whole_files.place()
            self._take_chunk(chunk, key or b"", self._sent(message))
        return len(chunk.data)

    def _is_manifest(self, key: bytes | None, value: bytes | None, headers: Any, message: KafkaMessage) -> bool:
        """Take a message if it is of a manifest; return whether it is."""
        assert self._take_manifest is not None
        take, sent = self._take_manifest, self._sent(message)
        try:
            return self._disk.retry(lambda: take(key, value, headers, sent))
        except (ValueError, OSError) as error:
            where = f"(partition {message.partition()}, offset {message.offset()})"
            self._refusals.refuse(key, f"it is no manifest that can be used: {error} {where}")
            return True

    # -- files of several chunks

    def _take_chunk(self, chunk: Chunk, key: bytes, sent: Sent) -> None:
        """Take one chunk of several."""
        identity = chunk.identity()
        if self._refusals.is_refused(identity):
            self.counts.refused += 1
            return
        part = self._attempts.part_of(identity, chunk, sent)
        if part is None:
            self.counts.superseded += 1
            return
        if not part.is_in_place:
            self._files.open(part)  # now, because a part whose file was removed starts over
        part.feed(sent)
        part.learn(chunk)
        self._placement.doubts.on_received(len(chunk.data))
        offset, length = chunk.offset, len(chunk.data)
        if part.is_in_place or part.assembly.has(offset, length):
            if self._files.read(part, length, offset) == chunk.data:
                self.counts.duplicates += 1
                if part.is_in_place:
                    self._confirm(part, sent)
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
        if part.assembly.is_whole and not part.awaits(sent):
            self._finish(part, is_last=chunk.number == chunk.n_chunks)

    def _add(self, part: Part, chunk: Chunk) -> None:
        self._files.write(part, chunk.offset, chunk.data)
        part.assembly.add(chunk.offset, chunk.data)

    def _finish(self, part: Part, is_last: bool) -> None:
        """Put a whole part in place; one that has failed at once only with the last chunk of other bytes."""
        if not part.failure or (part.is_overwritten and is_last):
            self._placement.finish(part)
        elif part.is_overwritten:
            self._placement.doubts.add(part)

    def _confirm(self, part: Part, sent: Sent) -> None:
        if self._confirmation is not None and not part.awaits(sent):
            self._confirmation.confirm_part(part, sent)

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

    def _on_dropped(self, part: Part, reason: str) -> None:
        self.counts.dropped += 1
        text = f"{printable(part.path)} {describe_incomplete(part.metadata())}; it is given up: {reason}"
        self._report_dropped(logging.ERROR, text)

    def _on_unwritable(self, part: Part, error: OSError) -> None:
        reason = f"its chunks cannot be written: {error.strerror or error}"
        self._refusals.refuse_version(part.identity, part.path, reason)
        self.store.remove(part)
