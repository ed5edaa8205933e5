"""From messages to files: every chunk to its place in a part, every whole part to its place in the directory."""

from __future__ import annotations

import errno
import fcntl
import logging
import os
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple, Protocol, TypeVar

import xxhash

from dfud.core.decode import read_piece
from dfud.core.names import shown
from dfud.core.piece import SHA512, BadMessage, Foreign, Piece
from dfud.core.ranges import RangeSet
from dfud.downloading.counts import Tally
from dfud.downloading.part import Part
from dfud.downloading.parts import PART, PartName, PartsFolder
from dfud.downloading.tree import Tree
from dfud.messages import Given, Holds, Ranges

_MOST_OPEN = 128  # parts with their file open
_MOST_PARTS = 10_000  # parts in memory; the others are known by their notes
_MOST_CURRENT = 1_000  # files of which the next chunk is expected
_MOST_RUN = 512  # chunks written at once; the kernel takes 1,024
_FEW = 1_000  # ranges; with more, they are told of less often
_MOST_NAMED = 100  # refusals that are named in one run
_BLOCK = 1 << 20  # bytes copied at once
# Not the fault of any file: the disk is full, or broken, or we are short of something. It is waited for.
_PASSING = frozenset(
    (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.EMFILE, errno.ENFILE, errno.ENOMEM)
)

T = TypeVar("T")


class KafkaMessage(Protocol):
    """What is used of a message of confluent_kafka."""

    def key(self) -> Any: ...

    def value(self) -> Any: ...

    def headers(self) -> Any: ...

    def partition(self) -> Any: ...

    def offset(self) -> Any: ...


class Snapshot(NamedTuple):
    """What is to be put on disk before offsets may be committed."""

    notes: list[tuple[PartName, bytes]]
    rubbish: list[PartName]  # parts to be removed afterwards: what was in them is elsewhere


class Assembler:
    """Responsible for all that one worker writes.

    `tell(level, text)` tells the user; `endure(error)` waits when the disk is full, or raises to give up.
    `alone` says that no other worker can hold chunks of the same file.
    """

    def __init__(
        self,
        tree: Tree,
        folder: PartsFolder,
        worker: int,
        alone: bool,
        accepts: Callable[[bytes], bool],
        tell: Callable[[int, str], None],
        endure: Callable[[OSError], None],
    ) -> None:
        self.tally = Tally()
        self._tree = tree
        self._folder = folder
        self._worker = worker
        self._alone = alone
        self._accepts = accepts
        self._tell = tell
        self._endure = endure
        self._named = 0
        self._parts: dict[bytes, Part] = {}  # by identity, the one used last at the end
        self._saved: dict[bytes, list[PartName]] = {}  # parts that are not in memory
        self._open: dict[bytes, Part] = {}  # likewise
        self._current: dict[bytes, Part] = {}  # by key
        self._dirty: dict[bytes, Part] = {}  # their notes are to be written
        self._given: list[tuple[PartName, bytes]] = []  # notes of parts that another worker takes over
        self._rubbish: list[PartName] = []  # to be removed once what they went into is on disk
        self._touched: dict[bytes, Part] = {}  # whose bytes may be spread over the workers
        self._away: dict[PartName, None] = {}  # parts that were given to another worker lately
        self._done: list[bytes] = []  # parts that the supervisor knows of, and that there are no longer
        self._found: list[tuple[bytes, int | None, Ranges]] = []  # parts of earlier runs, for the supervisor
        self._refused: dict[bytes, None] = {}  # versions that can't be written
        self._run: list[bytes] = []  # chunks that follow one another and are not written yet
        self._run_part: Part | None = None
        self._run_start = self._run_end = 0  # byte offsets
        self._lock = os.open(".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644, dir_fd=folder.descriptor)

    # -- messages

    def take(self, messages: Iterable[KafkaMessage]) -> None:
        """Take messages in the order of their partitions; at the end all of their bytes are written."""
        size = count = 0
        for message in messages:
            key, value, headers = message.key(), message.value(), message.headers()
            count += 1
            part = self._current.get(key) if key is not None else None
            if part is not None and part.next_number and value and headers:
                # What comes nearly always: the next chunk of a file, with just the headers that it must have.
                number = part.next_number
                digest = xxhash.xxh3_64_hexdigest(value).encode()
                if headers == part.headers(number, digest):  # type: ignore[misc]
                    offset = (number - 1) * part.chunk_size
                    if len(value) == part.chunk_size and offset + len(value) < part.assembly.size:  # type: ignore[operator]
                        part.next_number = number + 1
                        part.assembly.add(offset, value)
                        if part is self._run_part and offset == self._run_end and len(self._run) < _MOST_RUN:
                            self._run.append(value)
                            self._run_end += len(value)
                        else:
                            self._write(part, offset, value)
                        size += len(value)
                        continue
            size += self._take(key, value, headers, message)
        self.flush()
        self.tally.add("messages", count)
        self.tally.add("bytes", size)

    def _take(self, key: bytes | None, value: bytes | None, headers: Any, message: KafkaMessage) -> int:
        try:
            piece = read_piece(key, value, headers)
        except Foreign:
            self.tally.add("foreign")
            return 0
        except BadMessage as fault:
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
        if self._named <= _MOST_NAMED:
            self._tell(logging.WARNING, f"{shown(path or b'a message without a key')} is refused: {why}")
        if self._named == _MOST_NAMED:
            self._tell(logging.WARNING, "further messages that are refused are only counted")

    def _take_whole(self, piece: Piece) -> None:
        """Take a file that is one chunk."""
        if not piece.digest:
            self._refuse(piece.path, "its only chunk does not tell the digest of the whole")
            return
        if piece.algorithm != SHA512 and xxhash.xxh3_128_hexdigest(piece.data) != piece.digest:
            self._refuse(piece.path, "its bytes are not those of the digest of the whole")
            return
        identity = piece.identity()
        part = self._parts.get(identity)
        if part is None and identity in self._saved:
            part = self._find(identity, piece)
        if part is not None:  # it could not be put in its place
            self._place(part)
            return
        found = self._tree.look(piece.path)
        if found is not None and piece.mtime_ns is not None:
            if found.st_mtime_ns > piece.mtime_ns:
                self.tally.add("superseded")
                return
            if (
                found.st_mtime_ns == piece.mtime_ns
                and found.st_size == len(piece.data)
                and self._is_in_place(piece)
            ):
                self.tally.add("duplicates")
                return
        part = Part(PartName.new(identity, self._worker), piece)
        part.learn(piece)
        self._parts[identity] = part
        self._opened(part, self._patiently(lambda: self._folder.create(part.name)))
        if piece.data:
            self._write_all(part.descriptor, [piece.data], 0)
            part.assembly.add(0, piece.data)
        self._place(part)

    def _is_in_place(self, piece: Piece) -> bool:
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

    def _take_piece(self, piece: Piece, key: bytes) -> None:
        """Take one chunk of several."""
        identity = piece.identity()
        if identity in self._refused:
            self.tally.add("refused")
            return
        part = self._parts.get(identity) or self._find(identity, piece)
        if part is None:
            self.tally.add("superseded")
            return
        if part.descriptor < 0 and not part.in_place:
            self._descriptor(part)  # now: if it was removed, the part begins again
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
        self._dirty[identity] = part
        part.expect(piece)
        if part.next_number:
            if len(self._current) >= _MOST_CURRENT:
                self._current.clear()
            self._current[key] = part
        if part.assembly.is_whole and (not part.trouble or (part.changed and piece.number == piece.n_chunks)):
            self._finish(part)

    def _replace(self, part: Part, piece: Piece) -> bool:
        """Put other bytes in the place of some that are there: the last to come are held for right."""
        if part.in_place:
            self._start_from_place(part)
        self._descriptor(part)
        part.changed = True
        part.assembly.add(piece.offset, piece.data)
        return self._write(part, piece.offset, piece.data)

    # -- parts

    def _find(self, identity: bytes, piece: Piece) -> Part | None:
        """Return the part of a version that is not in memory, or None if a newer one is in its place."""
        names = self._saved.pop(identity, [])
        part = self._load(names) if names else None
        if part is None:
            part = Part(PartName.new(identity, self._worker), piece)
            found = self._tree.look(piece.path)
            if found is not None and piece.mtime_ns is not None:
                if found.st_mtime_ns > piece.mtime_ns:
                    return None
                same_size = piece.size is None or piece.size == found.st_size
                if found.st_mtime_ns == piece.mtime_ns and same_size:
                    part.in_place = True
                    part.assembly.size = found.st_size
            if not part.in_place:
                self._opened(part, self._patiently(lambda: self._folder.create(part.name)))
        self._parts[identity] = part
        return part

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

    def _descriptor(self, part: Part) -> int:
        """Return the open file of a part."""
        if part.descriptor >= 0:
            return part.descriptor
        try:
            if part.in_place:
                descriptor = self._tree.open(part.path)
            else:
                descriptor = self._patiently(lambda: self._folder.open(part.name))
        except OSError as problem:
            if part.in_place:
                raise
            if part.assembly.spans:
                self._tell(
                    logging.WARNING,
                    f"the part of {shown(part.path)} was removed ({problem.strerror}): it begins anew",
                )
            part.assembly.spans = RangeSet()
            part.assembly.forget_hash()
            part.name = PartName.new(part.name.identity, self._worker)
            part.has_note = False
            descriptor = self._patiently(lambda: self._folder.create(part.name))
        self._opened(part, descriptor)
        return descriptor

    def _opened(self, part: Part, descriptor: int) -> None:
        part.descriptor = descriptor
        self._open[part.name.identity] = part
        if len(self._open) > _MOST_OPEN:
            for oldest in self._open.values():
                if oldest is not part and oldest is not self._run_part:
                    self._close(oldest)
                    return

    def _close(self, part: Part) -> None:
        if part.descriptor >= 0:
            os.close(part.descriptor)
            part.descriptor = -1
            self._open.pop(part.name.identity, None)

    def _forget(self, part: Part) -> None:
        """Let go of a part in memory; its files are another matter."""
        identity = part.name.identity
        if part is self._run_part:
            self._run_part = None
            self._run = []
        self._close(part)
        for table in (self._parts, self._dirty, self._touched):
            if table.get(identity) is part:
                del table[identity]
        if self._current.get(part.path) is part:
            del self._current[part.path]
        part.next_number = 0

    def _start_from_place(self, part: Part) -> None:
        """Make a part of a copy of the file in its place, which has turned out to have other bytes."""
        source = self._descriptor(part)
        target = self._patiently(lambda: self._folder.create(part.name))
        self._copy(source, target, 0, part.assembly.size or 0)
        self._close(part)
        part.in_place = False
        self._opened(part, target)
        if part.assembly.size:
            part.assembly.spans.add(1, part.assembly.size)
        part.assembly.forget_hash()

    def _copy(self, source: int, target: int, offset: int, length: int) -> None:
        end = offset + length
        while offset < end:
            data = os.pread(source, min(_BLOCK, end - offset), offset)
            if not data:
                return
            self._write_all(target, [data], offset)
            offset += len(data)

    # -- bytes

    def _read(self, part: Part, length: int, offset: int) -> bytes:
        self.flush()
        try:
            return os.pread(self._descriptor(part), length, offset)
        except OSError:  # the file in its place is gone
            part.in_place = False
            return b""

    def _write(self, part: Part, offset: int, data: bytes) -> bool:
        """Write a chunk, soon; False if it was found that what came before can't be written to this part."""
        if part is not self._run_part or offset != self._run_end or len(self._run) >= _MOST_RUN:
            self.flush()
            if part.name.identity not in self._parts:
                return False
            self._run_part = part
            self._run_start = self._run_end = offset
        self._run.append(data)
        self._run_end += len(data)
        return True

    def flush(self) -> None:
        """Write the chunks that wait."""
        part, run = self._run_part, self._run
        if part is None or not run:
            return
        self._run_part, self._run = None, []
        try:
            self._write_all(self._descriptor(part), run, self._run_start)
        except OSError as problem:
            self._refuse(part.path, f"its chunks can't be written: {problem.strerror}")
            self._folder.remove(part.name)
            if len(self._refused) >= _MOST_PARTS:
                self._refused.clear()
            self._refused[part.name.identity] = None
            self._forget(part)
            return
        self._dirty[part.name.identity] = part
        if not self._alone:
            self._touched[part.name.identity] = part

    def _write_all(self, descriptor: int, pieces: Sequence[bytes], offset: int) -> None:
        wanted = sum(map(len, pieces))
        written = self._patiently(lambda: os.pwritev(descriptor, pieces, offset))
        if written < wanted:  # the disk became full in the middle of it
            rest = b"".join(pieces)
            while written < wanted:
                at = written
                written += self._patiently(lambda: os.pwrite(descriptor, rest[at:], offset + at))  # noqa: B023

    def _patiently(self, call: Callable[[], T]) -> T:
        """Call until the disk lets us; OSError for what waiting won't mend."""
        while True:
            try:
                return call()
            except OSError as problem:
                if problem.errno not in _PASSING:
                    raise
                self._endure(problem)

    # -- whole files

    def _finish(self, part: Part) -> None:
        """Look at the digest of a part that has all its bytes, and put it in its place if it is right."""
        self.flush()
        identity = part.name.identity
        if identity not in self._parts:
            return
        descriptor = self._descriptor(part)
        part.changed = False
        if not part.assembly.is_whole or not part.assembly.is_right(
            lambda length, at: os.pread(descriptor, length, at)
        ):
            part.assembly.forget_hash()
            if not part.trouble:
                self.tally.add("wrong")
                self._tell(
                    logging.WARNING,
                    f"{shown(part.path)} has all its chunks and not its digest: it is kept aside in LOGS",
                )
            part.trouble = "its bytes are not those of its digest"
            return
        self._place(part)

    def _place(self, part: Part) -> None:
        """Put a part that is right in its place, unless what is there is newer."""
        descriptor = self._descriptor(part)
        if not self._alone:
            fcntl.flock(self._lock, fcntl.LOCK_EX)  # nobody puts another version there between look and place
        try:
            found = self._tree.look(part.path)
            if found is not None and part.mtime_ns is not None and found.st_mtime_ns > part.mtime_ns:
                self.tally.add("superseded")
                self._drop(part)
                self._folder.remove(part.name)
                return
            if part.mtime_ns is not None:
                os.utime(descriptor, ns=(part.mtime_ns, part.mtime_ns))
            name = f"{part.name}{PART}"
            self._patiently(lambda: self._tree.place(name, self._folder.descriptor, part.path))
        except (OSError, OverflowError) as problem:
            why = problem.strerror or str(problem) if isinstance(problem, OSError) else str(problem)
            part.trouble = f"it can't be put in its place: {why}"
            self._dirty[part.name.identity] = part
            self.tally.add("unplaced")
            self._tell(
                logging.ERROR, f"{shown(part.path)} can't be put in its place: {why}; it is kept aside in LOGS"
            )
            self._close(part)
            return
        finally:
            if not self._alone:
                fcntl.flock(self._lock, fcntl.LOCK_UN)
        self.tally.add("files")
        self._tell(logging.DEBUG, f"{shown(part.path)} is complete")
        self._drop(part)

    def _drop(self, part: Part) -> None:
        """Forget a part, and remove what is left of it."""
        if part.shared:
            self._done.append(part.name.identity)
        if part.has_note:
            self._folder.remove_note(part.name)
        self._forget(part)

    # -- what outlives us

    def start(self) -> None:
        """Find the parts that earlier runs have left to this worker, and place those that are whole."""
        for name, note in self._folder.notes():
            if name.worker != self._worker:
                continue
            found = self._tree.look(note.path)
            is_there = found is not None and note.mtime_ns == found.st_mtime_ns
            if found is not None and is_there and note.size in (None, found.st_size) and not note.trouble:
                self._folder.remove(name)  # it was put in its place just before a crash
                continue
            self._saved.setdefault(name.identity, []).append(name)
            if not self._alone:
                self._found.append((name.identity, note.size, note.spans.ranges()))
        for identity, names in list(self._saved.items()):
            if len(names) > 1 or self._was_whole(names[0]):
                part = self._load(self._saved.pop(identity))
                if part is not None:
                    self._parts[identity] = part
                    if part.assembly.is_whole:
                        self._finish(part)

    def _was_whole(self, name: PartName) -> bool:
        try:
            note = self._folder.note(name)
        except (OSError, ValueError):
            return False
        return bool(note.digest) and note.size is not None and note.spans.covers(note.size)

    def snapshot(self) -> Snapshot:
        """Return what must be on disk before the messages taken so far are done with."""
        self.flush()
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
            elif name in self._away:
                self._given.append((name, text))
        self._rubbish += snapshot.rubbish

    def _let_go(self) -> None:
        """Keep no more parts in memory than we must."""
        for identity, part in list(self._parts.items()):
            if len(self._parts) <= _MOST_PARTS:
                return
            if identity not in self._dirty and (part.has_note or part.in_place):
                if part.has_note:
                    self._saved[identity] = [part.name]
                self._forget(part)

    def close(self) -> None:
        """Close all files."""
        for part in list(self._open.values()):
            self._close(part)
        os.close(self._lock)

    # -- files whose chunks come to several workers

    def spread(self) -> list[Holds]:
        """Return what is new of OpenMSIStream's files, whose chunks lie in all partitions."""
        few = [p for p in self._touched.values() if p.algorithm == SHA512 and p.assembly.spans.n_ranges < _FEW]
        return self._tell_of(few)

    def held(self) -> list[Holds]:
        """Return what is new of all parts, for the rare file whose chunks lie in several partitions."""
        return self._tell_of(list(self._touched.values()))

    def _tell_of(self, parts: list[Part]) -> list[Holds]:
        told = [Holds(identity, size, spans) for identity, size, spans in self._found]
        told += [Holds(identity, None, ()) for identity in self._done]
        self._found, self._done = [], []
        for part in parts:
            self._touched.pop(part.name.identity, None)
            if not part.in_place and not part.trouble:
                part.shared = True
                told.append(Holds(part.name.identity, part.assembly.size, part.assembly.spans.ranges()))
        return told

    def give(self, identity: bytes) -> Given:
        """Hand over a part to the worker that makes the file whole."""
        self.flush()
        part = self._parts.get(identity)
        if part is None and identity in self._saved:
            part = self._load(self._saved.pop(identity))
        if part is None or part.in_place:
            return Given(identity, "", None, "", ())
        if not part.has_note or identity in self._dirty:
            self._given.append((part.name, part.note()))
        self._away[part.name] = None
        while len(self._away) > _MOST_PARTS:
            del self._away[next(iter(self._away))]
        assembly = part.assembly
        given = Given(identity, str(part.name), assembly.size, assembly.digest, assembly.spans.ranges())
        self._forget(part)
        return given

    def merge(self, identity: bytes, donors: Iterable[Given]) -> None:
        """Take over what other workers have of a file."""
        self.flush()
        part = self._parts.get(identity)
        if part is None and identity in self._saved:
            part = self._load(self._saved.pop(identity))
            if part is not None:
                self._parts[identity] = part
        for donor in donors:
            name = PartName.parse(donor.name)
            if name is None:
                continue
            if part is None or part.in_place:  # the file is in its place already
                self._rubbish.append(name)
            else:
                self._merge(part, name, donor.spans, donor.size, donor.digest)
        if part is not None and not part.in_place and part.assembly.is_whole:
            self._finish(part)

    def _merge(
        self, part: Part, name: PartName, spans: Iterable[tuple[int, int]], size: int | None, digest: str
    ) -> None:
        try:
            source = self._folder.open(name)
        except OSError:  # it was removed
            return
        try:
            target = self._descriptor(part)
            for first, last in spans:
                for start, end in part.assembly.spans.lacking(first, last):
                    self._copy(source, target, start - 1, end - start + 1)
                part.assembly.spans.add(first, last)
        finally:
            os.close(source)
        part.assembly.forget_hash()
        if part.assembly.size is None:
            part.assembly.size = size
        part.assembly.digest = part.assembly.digest or digest
        self._dirty[part.name.identity] = part
        self._rubbish.append(name)
