"""What the tables of an upload say is on the topic, in the order in which it was completed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from dfud.core.tables import NO_DIGEST, CompletedRow, version_of
from dfud.core.version import FileVersion
from dfud.errors import DfudError
from dfud.lagging.received import Received
from dfud.logs.completed.merging import parse_time
from dfud.logs.completed.reading import read_rows
from dfud.logs.layout import LogsFolder
from dfud.logs.table_files import RejectedRow

_MAX_ATTEMPTS = 5  # while an upload consolidates its tables
_UNKNOWN_DIGEST = bytes.fromhex(NO_DIGEST)
_NEVER = float("inf")


class UploadedFile(NamedTuple):
    """A version of a file that is wholly on the topic, unless retention has taken it."""

    version: FileVersion
    digest: bytes  # xxh3_128; b"" if it is not known
    n_chunks: int
    started_s: float  # when it was detected: none of its messages is older (s since 1970)
    completed_s: float  # when its last chunk was acknowledged: none is newer


class UploadTables:
    """Reads what the tables of one upload say, each row once, while that upload may be running."""

    def __init__(self, folder: LogsFolder) -> None:
        """Read the tables in `folder`."""
        self._folder = folder
        self._table: tuple[int, int] | None = None  # which file the completed table was
        self._is_whole = False  # all that was yielded so far is all that there was
        self._n_read: dict[str, int] = {}  # rows, by the path of the shard
        self._seen: dict[str, tuple[int, int]] = {}  # which file each shard was
        self.n_rejected = 0  # rows that cannot be understood

    def read(self, until_s: float = _NEVER) -> Iterator[UploadedFile]:
        """Yield the rows that are new, in their order, those of the shards only if completed before `until_s`.

        Once the tables were consolidated, or could not be read, all rows are yielded again. Raises OSError if they
        cannot be read.
        """
        for _ in range(_MAX_ATTEMPTS):
            before = self._state(self._folder.completed)
            is_whole, self._is_whole = self._is_whole and before == self._table, False
            try:
                if not is_whole:
                    self._n_read.clear()
                    self._seen.clear()
                    yield from self._rows([self._folder.completed] if before else [])
                yield from self._new_rows(until_s)
            except FileNotFoundError:  # a shard was merged
                continue
            if self._state(self._folder.completed) == before:
                self._table, self._is_whole = before, True
                return
        raise DfudError(
            f"the tables in {self._folder.path} change too quickly: an upload begins or ends; try again"
        )

    def _new_rows(self, until_s: float) -> list[UploadedFile]:
        """Return the new rows of the shards, in their order."""
        found: list[UploadedFile] = []
        for shard in self._folder.shards():
            state = self._state(shard)
            if state is None or self._seen.get(shard) == state:
                continue
            rows = list(self._rows([shard]))
            new = [row for row in rows[self._n_read.get(shard, 0) :] if row.completed_s < until_s]
            self._n_read[shard] = self._n_read.get(shard, 0) + len(new)
            if self._n_read[shard] == len(rows):
                self._seen[shard] = state
            found += new
        found.sort(key=lambda row: row.completed_s)
        return found

    def _rows(self, tables: list[str]) -> Iterator[UploadedFile]:
        rejected: list[RejectedRow] = []
        for row in read_rows(self._folder, tables, rejected):
            yield _uploaded(row)
        self.n_rejected += len(rejected)

    def _state(self, path: str) -> tuple[int, int] | None:
        status = self._folder.stat(path)
        return None if status is None else (status.st_ino, status.st_mtime_ns)


def _uploaded(row: CompletedRow) -> UploadedFile:
    digest = bytes.fromhex(row.xxh3_128)
    completed_s = max(0.0, parse_time(row.completed))  # a time that cannot be understood is long ago
    started_s = min(max(0.0, parse_time(row.started)), completed_s)
    return UploadedFile(
        version_of(row), b"" if digest == _UNKNOWN_DIGEST else digest, row.n_chunks, started_s, completed_s
    )


class Unreceived:
    """Responsible for the files that are uploaded and not received: of each path the last version."""

    def __init__(self, received: Received, is_enough: Callable[[list[str]], bool] | None = None) -> None:
        """Compare with what is `received`; `is_enough` says of the holders of a file whether it is received.

        By default all receivers have to have it.
        """
        self._received = received
        self._is_enough = is_enough or self._are_all
        self.files: dict[bytes, UploadedFile] = {}  # by path

    def add(self, file: UploadedFile) -> None:
        """Take a file that was uploaded."""
        if self._is_received(file):
            self.files.pop(file.version.path, None)
        else:
            self.files[file.version.path] = file

    def on_receipt(self, path: bytes) -> None:
        """Look again at a file of which a receipt has come."""
        file = self.files.get(path)
        if file is not None and self._is_received(file):
            del self.files[path]

    def of(self, receiver: str) -> Iterator[UploadedFile]:
        """Yield what a receiver lacks of these files."""
        for file in self.files.values():
            if not self._received.has(receiver, file.version.identity(), file.digest):
                yield file

    def _is_received(self, file: UploadedFile) -> bool:
        return self._is_enough(self._received.holders(file.version.identity(), file.digest))

    def _are_all(self, holders: list[str]) -> bool:
        return len(holders) == len(self._received.receivers)
