"""What the completed table and its shards say was uploaded last of each path, while an upload may be running."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import NamedTuple

from dfud.core.tables import NO_DIGEST, CompletedRow, version_of
from dfud.core.version import PATH_KEY_BYTES, FileVersion
from dfud.errors import DfudError
from dfud.logs.completed.index import IDENTITY_BYTES, RecordIndex
from dfud.logs.completed.merging import LaneTimes, by_lane, merge_lanes, parse_time
from dfud.logs.completed.reading import read_rows
from dfud.logs.in_progress_table import read_in_progress_table
from dfud.logs.layout import LogsFolder
from dfud.logs.table_files import RejectedRow

_RECORD_BYTES = IDENTITY_BYTES + 16 + 8  # with the digest, and the time of detection
_MAX_ATTEMPTS = 5  # while an upload consolidates its tables
_UNKNOWN_DIGEST = bytes.fromhex(NO_DIGEST)


class RecordedUpload(NamedTuple):
    """What a row says of a version."""

    digest: bytes  # xxh3_128 of the bytes that were sent; b"" if it is unknown
    detected_ns: int  # when the file was detected, before it was read: ns since 1970-01-01 UTC


class RecordedUploads:
    """The last row of each path, at 40 bytes each, and the paths that are being uploaded."""

    def __init__(self, rows: Iterable[CompletedRow], in_progress: frozenset[bytes] = frozenset()) -> None:
        """Take the rows in the order in which their files were completed; of several of a path the last counts."""
        self._index = RecordIndex(map(_record, rows), PATH_KEY_BYTES, _RECORD_BYTES)
        self._in_progress = in_progress

    def __len__(self) -> int:
        """Return the number of paths."""
        return len(self._index)

    def is_in_progress(self, path: bytes) -> bool:
        """Return whether a version of the file is not wholly acknowledged."""
        return path in self._in_progress

    def find(self, version: FileVersion) -> RecordedUpload | None:
        """Return what is recorded of a version, if it is what was uploaded last of its path."""
        identity = version.identity()
        record = self._index.find(identity[:PATH_KEY_BYTES])
        if record is None or not record.startswith(identity):
            return None
        digest = record[IDENTITY_BYTES : IDENTITY_BYTES + 16]
        detected_ns = int.from_bytes(record[-8:], "big", signed=True)
        return RecordedUpload(b"" if digest == _UNKNOWN_DIGEST else digest, detected_ns)


def read_uploads(
    folder: LogsFolder, on_path: Callable[[bytes], None] | None = None
) -> tuple[RecordedUploads, list[RejectedRow]]:
    """Return what the tables say, and the rows that cannot be understood; `on_path` is called with each path.

    An upload merges its shards into the table when it begins and ends: then they are read again. Raises OSError if
    they cannot be read.
    """
    for _ in range(_MAX_ATTEMPTS):
        before = _state(folder)
        try:
            found = _read(folder, on_path)
        except FileNotFoundError:  # a shard was merged
            continue
        if _state(folder) == before:
            return found
    raise DfudError(f"the tables in {folder.path} change too quickly: an upload begins or ends; try again")


def _state(folder: LogsFolder) -> tuple[int, int] | None:
    """Return which file the completed table is."""
    status = folder.stat(folder.completed)
    return None if status is None else (status.st_ino, status.st_mtime_ns)


def _read(
    folder: LogsFolder, on_path: Callable[[bytes], None] | None
) -> tuple[RecordedUploads, list[RejectedRow]]:
    rejected: list[RejectedRow] = []
    in_progress: frozenset[bytes] = frozenset()
    if folder.exists(folder.in_progress):
        rows, _ = read_in_progress_table(folder)
        in_progress = frozenset(os.fsencode(row.rel_filepath) for row in rows)
    shards = folder.shards()
    table = [folder.completed] if folder.exists(folder.completed) else []
    newest = merge_lanes(_timed_rows(folder, lane, rejected) for lane in by_lane(shards))
    recorded: Iterator[CompletedRow] = chain(read_rows(folder, table, rejected), newest)
    if on_path is not None:
        recorded = _told(recorded, on_path)
    return RecordedUploads(recorded, in_progress), rejected


def _told(rows: Iterable[CompletedRow], on_path: Callable[[bytes], None]) -> Iterator[CompletedRow]:
    for row in rows:
        on_path(version_of(row).path)
        yield row


def _timed_rows(
    folder: LogsFolder, lane: list[str], rejected: list[RejectedRow]
) -> Iterator[list[tuple[float, CompletedRow]]]:
    """Yield the rows of each shard of a lane with their times."""
    time_of = LaneTimes()
    for shard in lane:
        yield [(time_of(row.completed), row) for row in read_rows(folder, [shard], rejected)]


def _record(row: CompletedRow) -> bytes:
    seconds = parse_time(row.started)
    # A row without a good time says nothing of when its file was detected: as early as can be.
    detected_ns = int(seconds * 1e9) if abs(seconds) < 9e9 else -(1 << 63)
    return version_of(row).identity() + bytes.fromhex(row.xxh3_128) + detected_ns.to_bytes(8, "big", signed=True)
