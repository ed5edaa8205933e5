"""From messages to files: every chunk to its place in a part, every whole part to its place in the directory."""

from __future__ import annotations

import fcntl
import logging
import os
from collections.abc import Callable, Iterable
from typing import Any, Protocol

import xxhash

from dfud.core.assembly import new_hasher
from dfud.core.chunk import BadMessageError, Chunk, ForeignMessageError
from dfud.core.decode import read_chunk
from dfud.core.text import printable
from dfud.downloading.counts import Tally
from dfud.downloading.disk import Disk
from dfud.downloading.part import Part
from dfud.downloading.part_store import MAX_PARTS, PartStore, Snapshot
from dfud.downloading.parts import PART, PartsFolder
from dfud.files.confined import ConfinedTree
from dfud.messages import Released

_MAX_CURRENT_PARTS = 1_000  # files of which the next chunk is expected
_MAX_RUN_CHUNKS = 512  # chunks written at once; the kernel takes 1,024
_MAX_NAMED = 100  # refusals that are named in one run


class KafkaMessage(Protocol):
    """What is used of a message of confluent_kafka."""

    def key(self) -> Any: ...

    def value(self) -> Any: ...

    def headers(self) -> Any: ...

    def partition(self) -> Any: ...

    def offset(self) -> Any: ...


class Assembler:
    """Responsible for all that one fetcher writes.

    `tell(level, text)` tells the user. `alone` says that no other fetcher puts files in their places.
    """

    def __init__(
        self,
        tree: ConfinedTree,
        folder: PartsFolder,
        shelf: PartStore,
        disk: Disk,
        alone: bool,
        accepts: Callable[[bytes], bool],
        tell: Callable[[int, str], None],
    ) -> None:
        self.tally = Tally()
        self._tree = tree
        self._folder = folder
        self._shelf = shelf
        self._disk = disk
        self._alone = alone
        self._accepts = accepts
        self._tell = tell
        self._named = 0
        self._current: dict[bytes, Part] = {}  # by key
        self._refused: dict[bytes, None] = {}  # versions that can't be written
        self._run: list[bytes] = []  # chunks that follow one another and are not written yet, of `shelf.busy`
        self._run_start = self._run_end = 0  # byte offsets
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        self._lock = os.open(".lock", flags, 0o644, dir_fd=folder.descriptor)

    def close(self) -> None:
        """Close all files."""
        self._shelf.close()
        os.close(self._lock)

    # -- messages

    def take(self, messages: Iterable[KafkaMessage]) -> None:
        """Take messages in the order of their partitions; at the end all of their bytes are written."""
        size = count = 0
        shelf, run = self._shelf, self._run
        for message in messages:
            key, value, headers = message.key(), message.value(), message.headers()
            count += 1
            part = self._current.get(key) if key is not None else None
            if part is not None and part.next_number and value and headers:
                # What comes nearly always: the next chunk of a file, with just the headers that it must have.
                number = part.next_number
                digest = xxhash.xxh3_64_hexdigest(value).encode()
                if headers == part.headers(number, digest):  # type: ignore[misc]
                    length = part.chunk_size
                    offset = (number - 1) * length
                    if len(value) == length and offset + length < part.assembly.size:  # type: ignore[operator]
                        part.next_number = number + 1
                        part.assembly.add(offset, value)
                        if part is shelf.busy and offset == self._run_end and len(run) < _MAX_RUN_CHUNKS:
                            run.append(value)
                            self._run_end += length
                        else:
                            self._write(part, offset, value)
                        size += length
                        continue
            size += self._take(key, value, headers, message)
        self.flush()
        self.tally.add("messages", count)
        self.tally.add("bytes", size)

    def _take(self, key: bytes | None, value: bytes | None, headers: Any, message: KafkaMessage) -> int:
        try:
            piece = read_chunk(key, value, headers)
        except ForeignMessageError:
            self.tally.add("foreign")
            return 0
        except BadMessageError as fault:
            self._refuse(key, f"{fault} (partition {message.partition()}, offset {message.offset()})")
            return 0
        if not self._accepts(piece.path):
            self.tally.add("left_out")
        elif piece.n_chunks == 1:
            self._take_whole(piece)
        else:
            self._take_piece(piece, key or b"")
        return len(piece.data)

    def _refuse(self, path: bytes | None, why: str) -> None:
        self.tally.add("refused")
        self._named += 1
        if self._named <= _MAX_NAMED:
            self._tell(logging.WARNING, f"{printable(path or b'a message without a key')} is refused: {why}")
        if self._named == _MAX_NAMED:
            self._tell(logging.WARNING, "further messages that are refused are only counted")

    def _take_whole(self, piece: Chunk) -> None:
        """Take a file that is one chunk."""
        if not piece.digest:
            self._refuse(piece.path, "its only chunk does not tell the digest of the whole")
            return
        hasher = new_hasher(piece.algorithm)
        hasher.update(piece.data)
        if hasher.hexdigest() != piece.digest:
            self._refuse(piece.path, "its bytes are not those of the digest of the whole")
            return
        identity = piece.identity()
        part = self._shelf.find(identity)
        if part is not None:  # chunks of another size, or a whole that could not be put in its place
            self.flush()
            self._shelf.drop(part, remove=True)
        found = self._tree.stat_file(piece.path)
        if found is not None and piece.mtime_ns is not None:
            if found.st_mtime_ns > piece.mtime_ns:
                self.tally.add("superseded")
                return
            if (found.st_mtime_ns, found.st_size) == (piece.mtime_ns, len(piece.data)) and self._is_there(piece):
                self.tally.add("duplicates")
                return
        part = self._shelf.begin(identity, piece)
        part.learn(piece)
        if piece.data:
            self._disk.write(part.descriptor, [piece.data], 0)
            part.assembly.add(0, piece.data)
        self._place(part)

    def _is_there(self, piece: Chunk) -> bool:
        """Tell whether the file in its place has the bytes of `piece`, and no others."""
        try:
            descriptor = self._tree.open(piece.path)
        except OSError:
            return False
        try:
            return os.pread(descriptor, len(piece.data) + 1, 0) == piece.data
        except OSError:
            return False
        finally:
            os.close(descriptor)

    def _take_piece(self, piece: Chunk, key: bytes) -> None:
        """Take one chunk of several."""
        identity = piece.identity()
        if identity in self._refused:
            self.tally.add("refused")
            return
        part = self._shelf.find(identity) or self._begin(identity, piece)
        if part is None:
            self.tally.add("superseded")
            return
        if not part.in_place:
            self._shelf.descriptor(part)  # now: if it was removed, the part begins again
        part.learn(piece)
        offset, length = piece.offset, len(piece.data)
        if part.in_place or part.assembly.has(offset, length):
            if self._read(part, length, offset) == piece.data:
                self.tally.add("duplicates")
                if part.in_place:
                    return
            elif not self._replace(part, piece):
                return
        else:
            part.assembly.add(offset, piece.data)
            if not self._write(part, offset, piece.data):
                return
        self._shelf.wrote(part)
        part.expect(piece)
        if part.next_number:
            if len(self._current) >= _MAX_CURRENT_PARTS:
                self._current.clear()
            self._current[key] = part
        if part.assembly.is_whole and (not part.trouble or (part.changed and piece.number == piece.n_chunks)):
            self._finish(part)

    def _begin(self, identity: bytes, piece: Chunk) -> Part | None:
        """Return a new part, or None if a newer version is in its place."""
        found = self._tree.stat_file(piece.path)
        if found is not None and piece.mtime_ns is not None:
            if found.st_mtime_ns > piece.mtime_ns:
                return None
            if found.st_mtime_ns == piece.mtime_ns and piece.size in (None, found.st_size):
                return self._shelf.begin_in_place(identity, piece, found.st_size)
        return self._shelf.begin(identity, piece)

    def _replace(self, part: Part, piece: Chunk) -> bool:
        """Put other bytes in the place of some that are there: the last to come are held for right."""
        if part.in_place:
            self._shelf.start_from_place(part)
        part.changed = True
        part.assembly.add(piece.offset, piece.data)
        return self._write(part, piece.offset, piece.data)

    # -- bytes

    def _read(self, part: Part, length: int, offset: int) -> bytes:
        self.flush()
        if part.name.identity not in self._shelf:
            return b""
        try:
            return os.pread(self._shelf.descriptor(part), length, offset)
        except OSError:  # the file in its place is gone
            return b""

    def _write(self, part: Part, offset: int, data: bytes) -> bool:
        """Write a chunk, soon; False if it was found that what came before can't be written to this part."""
        if part is not self._shelf.busy or offset != self._run_end or len(self._run) >= _MAX_RUN_CHUNKS:
            self.flush()
            if part.name.identity not in self._shelf:
                return False
            self._shelf.busy = part
            self._run_start = self._run_end = offset
        self._run.append(data)
        self._run_end += len(data)
        return True

    def flush(self) -> None:
        """Write the chunks that wait."""
        part = self._shelf.busy
        if part is None:
            return
        run = self._run.copy()
        self._run.clear()
        self._shelf.busy = None
        try:
            self._disk.write(self._shelf.descriptor(part), run, self._run_start)
        except OSError as problem:
            self._refuse(part.path, f"its chunks can't be written: {problem.strerror}")
            if len(self._refused) >= MAX_PARTS:
                self._refused.clear()
            self._refused[part.name.identity] = None
            self._shelf.drop(part, remove=True)
            return
        self._shelf.wrote(part)

    # -- whole files

    def start(self) -> None:
        """Place the files that an earlier run has left whole."""
        for part in self._shelf.take_over():
            self._finish(part)

    def _finish(self, part: Part) -> None:
        """Look at the digest of a part that has all its bytes, and put it in its place if it is right."""
        self.flush()
        if part.name.identity not in self._shelf:
            return
        descriptor = self._shelf.descriptor(part)
        part.changed = False
        assembly = part.assembly
        if assembly.is_whole and assembly.verify(lambda length, offset: os.pread(descriptor, length, offset)):
            self._place(part)
            return
        assembly.restart_hash()
        if not part.trouble:
            self.tally.add("wrong")
            why = f"{printable(part.path)} has all its chunks and not its digest: it is kept aside in LOGS"
            self._tell(logging.WARNING, why)
        part.trouble = "its bytes are not those of its digest"
        self._shelf.wrote(part)

    def _place(self, part: Part) -> None:
        """Put a part that is right in its place, unless what is there is newer."""
        descriptor = self._shelf.descriptor(part)
        if not self._alone:
            fcntl.flock(self._lock, fcntl.LOCK_EX)  # nobody puts another version there between look and place
        try:
            found = self._tree.stat_file(part.path)
            if found is not None and part.mtime_ns is not None and found.st_mtime_ns > part.mtime_ns:
                self.tally.add("superseded")
                self._shelf.drop(part, remove=True)
                return
            if part.mtime_ns is not None:
                os.utime(descriptor, ns=(part.mtime_ns, part.mtime_ns))
            name = f"{part.name}{PART}"
            self._disk.patiently(lambda: self._tree.place(name, self._folder.descriptor, part.path))
        except (OSError, OverflowError) as problem:
            self._keep_aside(part, getattr(problem, "strerror", None) or str(problem))
            return
        finally:
            if not self._alone:
                fcntl.flock(self._lock, fcntl.LOCK_UN)
        self.tally.add("files")
        self._tell(logging.DEBUG, f"{printable(part.path)} is complete")
        self._shelf.drop(part)

    def _keep_aside(self, part: Part, why: str) -> None:
        part.trouble = f"it can't be put in its place: {why}"
        self.tally.add("unplaced")
        self._tell(
            logging.ERROR, f"{printable(part.path)} can't be put in its place: {why}; it is kept aside in LOGS"
        )
        self._shelf.wrote(part)
        self._shelf.close_file(part)

    # -- between batches

    def snapshot(self) -> Snapshot:
        """Return what must be on disk before the messages taken so far are done with."""
        self.flush()
        return self._shelf.snapshot()

    def merge(self, identity: bytes, donors: Iterable[Released]) -> None:
        """Take over what other fetchers have of a file, and put it in its place if it is whole."""
        part = self._shelf.merge(identity, donors)
        if part is not None and part.assembly.is_whole:
            self._finish(part)
