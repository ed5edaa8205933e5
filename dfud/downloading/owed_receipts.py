"""The receipts that a fetcher owes: no offset is committed before those of all files that it covers are sent."""

from __future__ import annotations

import hashlib
import logging
import time
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

import msgspec
import xxhash

from dfud.core.chunk import XXH3_128
from dfud.core.text import printable
from dfud.downloading.offsets import Position
from dfud.downloading.part_metadata import PartName
from dfud.downloading.refusals import LimitedReport
from dfud.downloading.supervisor_link import Report
from dfud.messages import FilesPlaced

_BLOCK_BYTES = 1 << 20  # hashed at a time
_MAX_FILES = 500  # in one message to the supervisor

Read = Callable[[int, int], bytes]  # returns so many bytes of a file from an offset on; fewer at its end


class PlacedFile(NamedTuple):
    """A version of a file that is in its place."""

    path: bytes
    size: int  # bytes
    mtime_ns: int
    xxh3_128: str  # of its bytes, hex digits
    sha256: str  # likewise; "" if nobody wants it
    time_ns: int  # when it was put there, since 1970-01-01 UTC
    topic_id: str  # that it was read from


class Digests(NamedTuple):
    """What a receipt says of the bytes of a file; as a stated digest is not always among it, they are hashed."""

    xxh3_128: str
    sha256: str = ""


NO_DIGESTS = Digests("")  # where no receipts are wanted


class Owed(NamedTuple):
    """What was put in place since the last checkpoint."""

    files: list[PlacedFile]
    parts: list[PartName]  # whose metadata stays on disk until the receipts are sent


class OwedReceipts:
    """Responsible for the order: files in place, on disk, their receipts sent, and only then offsets committed.

    After a crash, what was not committed is read again, and whatever of it is in place is owed again.
    """

    def __init__(
        self,
        send: Callable[[FilesPlaced], None],
        commit: Callable[[dict[int, Position]], None],
        forget_parts: Callable[[list[PartName]], None],
        report: Report,
        with_sha256: bool,
        max_files: int,
        now_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        """`send` gives files to whoever sends receipts, `commit` gets positions by partition.

        `forget_parts` is called with the parts of files whose receipts are sent; more than `max_files` should not
        wait for theirs.
        """
        self._send = send
        self._commit = commit
        self._forget_parts = forget_parts
        self._report_left = LimitedReport(report, "files without a receipt")
        self._with_sha256 = with_sha256
        self._max_files = max_files
        self._now_ns = now_ns
        self._placed = Owed([], [])
        self._last_number = 0
        self._unsent: dict[int, int] = {}  # numbers of files, by number of the message
        self._waiting: deque[tuple[int, dict[int, Position], list[PartName]]] = (
            deque()
        )  # for messages up to a number
        self.n_answers = 0  # it grows as receipts are sent

    # -- what is in place

    def digests(self, algorithm: str, digest: str, read: Read, size: int) -> Digests | None:
        """Return what a receipt says of a file with this verified digest, which is hashed if that is not enough.

        None if it cannot be read.
        """
        if algorithm == XXH3_128 and not self._with_sha256:
            return Digests(digest)
        return self.hash(read, size)

    def hash(self, read: Read, size: int) -> Digests | None:
        """Return the digests of a file; None if it does not have `size` bytes, or cannot be read."""
        xxh3_128, sha256, offset = xxhash.xxh3_128(), hashlib.sha256(), 0
        while data := read(_BLOCK_BYTES, offset):
            offset += len(data)
            xxh3_128.update(data)
            if self._with_sha256:
                sha256.update(data)
        if offset != size:
            return None
        return Digests(xxh3_128.hexdigest(), sha256.hexdigest() if self._with_sha256 else "")

    def add(
        self,
        path: bytes,
        size: int | None,
        mtime_ns: int | None,
        digests: Digests,
        topic_id: str,
        part: PartName | None = None,
    ) -> None:
        """Owe the receipt of a file that is in its place; the metadata of `part` stays until it is sent."""
        if mtime_ns is None or size is None:  # it is no version that anybody could compare with
            text = f"{printable(path)}: no receipt, because its messages do not say when it was modified"
            self._report_left(logging.WARNING, text, path)
            return
        self._placed.files.append(PlacedFile(path, size, mtime_ns, *digests, self._now_ns(), topic_id))
        if part is not None:
            self._placed.parts.append(part)

    @property
    def is_full(self) -> bool:
        """Whether so many receipts wait that no more files should be put in place."""
        return len(self._placed.files) + sum(self._unsent.values()) >= self._max_files

    # -- checkpoints

    @property
    def has_placed(self) -> bool:
        """Whether files were put in place since the last checkpoint."""
        return bool(self._placed.files)

    def take(self) -> Owed:
        """Return what was put in place since the last checkpoint; the next one, which is beginning, has it."""
        taken, self._placed = self._placed, Owed([], [])
        return taken

    def put_back(self, owed: Owed) -> None:
        """Take back what could not be put on disk."""
        self._placed = Owed(owed.files + self._placed.files, owed.parts + self._placed.parts)

    def commit(self, owed: Owed, positions: dict[int, Position]) -> None:
        """Have receipts sent of what is on disk now, and then commit `positions`, after all that waits before."""
        for start in range(0, len(owed.files), _MAX_FILES):
            files = owed.files[start : start + _MAX_FILES]
            self._last_number += 1
            self._unsent[self._last_number] = len(files)
            self._send(FilesPlaced(self._last_number, len(files), msgspec.msgpack.encode(files)))
        self._waiting.append((self._last_number, positions, owed.parts))
        self._release()

    def on_sent(self, number: int) -> None:
        """Note that all receipts of a message are on their topic."""
        self.n_answers += 1
        self._unsent.pop(number, None)
        self._release()

    def drop_commits(self) -> None:
        """Commit none of the positions that wait: others read these partitions from now on."""
        self._waiting = deque((number, {}, parts) for number, _, parts in self._waiting)

    @property
    def is_settled(self) -> bool:
        """Whether nothing waits."""
        return not self._waiting

    def _release(self) -> None:
        first_unsent = next(iter(self._unsent), self._last_number + 1)
        while self._waiting and self._waiting[0][0] < first_unsent:
            _, positions, parts = self._waiting.popleft()
            self._forget_parts(parts)
            if positions:
                self._commit(positions)


_decoder = msgspec.msgpack.Decoder(list[PlacedFile])


def unpack(files: bytes) -> list[PlacedFile]:
    """Return the files in a `FilesPlaced`."""
    return _decoder.decode(files)
