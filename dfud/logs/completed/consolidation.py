"""Merging the shards into the completed table."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, groupby, islice
from typing import NamedTuple

from dfud.core.plain_rows import HEADER
from dfud.core.tables import CompletedRow, format_row, format_rows, version_of
from dfud.core.version import FileVersion
from dfud.files.open_folder import OpenFolder
from dfud.logs.completed.merging import LaneTimes, Timed, by_lane, merge_lanes, parse_time
from dfud.logs.completed.reading import load_table, read_rows, read_times, whole_lines
from dfud.logs.completed.recorded import RecordedVersions
from dfud.logs.layout import LogsFolder
from dfud.logs.table_files import RejectedRow, save_rejected_rows

_ROWS_AT_ONCE = 1000
_BLOCK_BYTES = 1 << 20
_MAX_SHARD_BYTES = 1 << 24  # a larger one is not ours
_TAIL_BYTES = 1 << 16  # of the table, in which the latest rows are


class Consolidated(NamedTuple):
    """The result of `consolidate`."""

    completed: RecordedVersions
    rejected: list[RejectedRow]
    error: OSError | None  # why the table could not be written; the shards are then unchanged
    latest: float  # when the last of the rows was completed (s since 1970); minus infinity if there is none


def consolidate(
    folder: LogsFolder, shards: list[str], unproven: Sequence[tuple[FileVersion, str]] = ()
) -> Consolidated:
    """Read the completed table and `shards`, merge them into one table, and return what they say.

    What `unproven` versions may have replaced on the topic, each at its time, does not count.

    A shard of which the table has the rows already (after a crash between writing the table and removing the
    shard) is only removed. Rows that cannot be understood are saved in a file beside the table, and returned.
    Nothing is written if nothing changes. Raises OSError if a table cannot be read.
    """
    rejected: list[RejectedRow] = []
    recorded = RecordedVersions()
    if folder.exists(folder.completed):
        recorded = load_table(folder, rejected)
        if unproven:  # what was sent once more since then is in the shards, and new
            recorded.distrust_again(unproven, read_times(folder, [folder.completed]))
    latest = _Latest(_latest_in_table(folder))
    if not shards and not rejected:
        return Consolidated(recorded, rejected, None, latest.time)
    rows = merge_lanes(_timed_rows(folder, lane, rejected) for lane in by_lane(_unmerged(folder, shards)))
    new = _unknown(latest.watch(rows), recorded)
    error = _merge(folder, shards, _encoded(new, header=False), rejected)
    for _ in new:
        pass  # after an error, too, all of the shards must be known
    if unproven:
        tables = [path for path in (folder.completed, *shards) if folder.exists(path)]
        recorded.distrust_again(unproven, read_times(folder, tables))
    return Consolidated(recorded, rejected, error, latest.time)


def append_shards(folder: LogsFolder, shards: list[str]) -> OSError | None:
    """Append `shards` to the completed table; return why that failed, or None.

    The table itself is copied without parsing it: this is for the end of a run, which parsed it at its start.
    """
    if not shards:
        return None
    rejected: list[RejectedRow] = []
    new: Iterable[bytes]
    try:
        lanes = by_lane(_unmerged(folder, shards))
        if len(lanes) == 1 and all(_is_ours(folder, shard) for shard in lanes[0]):
            new = chain.from_iterable(_copied(folder, shard, len(HEADER)) for shard in lanes[0])
        else:
            new = merge_lanes(_timed_lines(folder, lane, rejected) for lane in lanes)
    except OSError as error:
        return error
    return _merge(folder, shards, new, rejected)


def _merge(
    folder: LogsFolder, shards: list[str], new: Iterable[bytes], rejected: list[RejectedRow]
) -> OSError | None:
    """Write the completed table followed by the rows `new` of `shards`, and remove the shards.

    `rejected` may still grow while `new` is read.
    """
    try:
        present = folder.exists(folder.completed)
        if present and not rejected and _is_ours(folder, folder.completed):
            old = _copied(folder, folder.completed)
        else:
            old = _encoded(read_rows(folder, [folder.completed] if present else [], []), header=True)
        folder.replace(folder.completed, chain(old, new, _saving(folder, rejected)))
    except OSError as error:
        return error
    for shard in shards:
        with contextlib.suppress(OSError):  # the next run reads it again, and finds its rows in the table
            folder.unlink(shard)
    return None


def _unknown(rows: Iterable[CompletedRow], recorded: RecordedVersions) -> Iterator[CompletedRow]:
    """Yield the rows that say something new, and take note of all."""
    for row in rows:
        version, digest = version_of(row), bytes.fromhex(row.xxh3_128)
        identity = version.identity()
        if recorded.digest(version, identity) != digest:
            recorded.add(version.path, identity, digest)
            yield row


def _unmerged(folder: LogsFolder, shards: list[str]) -> list[str]:
    """Return those of `shards` that the completed table does not have yet.

    A shard was merged as a whole or not at all: its last row tells.
    """
    last_lines = {shard: _last_line(folder, shard) for shard in shards}
    wanted = set(filter(None, last_lines.values()))
    if not wanted or not folder.exists(folder.completed):
        return shards
    found: set[bytes] = set()
    with folder.open_to_read(folder.completed) as file:
        while block := whole_lines(file, folder.completed):
            found |= wanted.intersection(block.splitlines())
    return [shard for shard in shards if last_lines[shard] not in found]


def _last_line(folder: OpenFolder, path: str) -> bytes:
    """Return the last line of a table, without its end; empty if there is none."""
    return next((line for line in reversed(_tail(folder, path)) if line), b"")


def _tail(folder: OpenFolder, path: str) -> list[bytes]:
    """Return the last lines of a table, the first of them perhaps incomplete."""
    with folder.open_to_read(path) as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL_BYTES))
        return file.read().splitlines()


class _Latest:
    """When the last of some rows was completed (s since 1970)."""

    def __init__(self, time: float) -> None:
        self.time = time

    def watch(self, rows: Iterable[CompletedRow]) -> Iterator[CompletedRow]:
        for row in rows:
            self.time = max(self.time, parse_time(row.completed))
            yield row


def _latest_in_table(folder: LogsFolder) -> float:
    """Return when the last rows of the completed table were completed (s since 1970), minus infinity for none."""
    lines = _tail(folder, folder.completed) if folder.exists(folder.completed) else []
    return max((parse_time(os.fsdecode(line[line.rfind(b",") + 1 :])) for line in lines), default=float("-inf"))


def _is_ours(folder: OpenFolder, path: str) -> bool:
    """Return whether a table begins with our header and ends with a complete line: rows can be appended."""
    with folder.open_to_read(path) as file:
        if file.read(len(HEADER)) != HEADER:
            return False
        file.seek(-2, os.SEEK_END)
        return file.read() == b"\r\n"


def _copied(folder: OpenFolder, path: str, skip: int = 0) -> Iterator[bytes]:
    """Yield the content of a file from the byte `skip` on."""
    with folder.open_to_read(path) as file:
        file.seek(skip)
        while block := file.read(_BLOCK_BYTES):
            yield block


def _timed_rows(
    folder: OpenFolder, lane: Iterable[str], rejected: list[RejectedRow]
) -> Iterator[list[Timed[CompletedRow]]]:
    """Yield the rows of a lane's shards with their times, many at once."""
    time_of = LaneTimes()
    rows = read_rows(folder, lane, rejected)
    while batch := [(time_of(row.completed), row) for row in islice(rows, _ROWS_AT_ONCE)]:
        yield batch


def _timed_lines(
    folder: OpenFolder, lane: Iterable[str], rejected: list[RejectedRow]
) -> Iterator[list[Timed[bytes]]]:
    """Yield the lines of a lane's shards with their times, a shard at once, lines of one time together.

    Shards of ours are not parsed.
    """
    time_of = LaneTimes()
    for shard in lane:
        content = b""
        if _is_ours(folder, shard):
            with folder.open_to_read(shard) as file:
                content = file.read(_MAX_SHARD_BYTES)
        if not content.endswith(b"\r\n") or b'"' in content:
            rows = read_rows(folder, [shard], rejected)
            yield [(time_of(row.completed), _line(row)) for row in rows]
            continue
        lines = content[len(HEADER) :].splitlines(keepends=True)
        yield [
            (time_of(completed.decode("ascii", "replace")), b"".join(together))
            for completed, together in groupby(lines, _completed)
        ]


def _completed(line: bytes) -> bytes:
    """Return the time in the last field of a line."""
    return line[line.rfind(b",") + 1 : -2]


def _line(row: CompletedRow) -> bytes:
    return format_row(row).encode("utf-8", "surrogateescape")


def _encoded(rows: Iterable[CompletedRow], header: bool) -> Iterator[bytes]:
    """Yield the bytes of rows, many at a time, optionally after the header row."""
    batch: list[tuple[object, ...]] = [CompletedRow._fields] if header else []
    for row in rows:
        batch.append(row)
        if len(batch) >= _ROWS_AT_ONCE:
            yield format_rows(batch).encode("utf-8", "surrogateescape")
            batch = []
    yield format_rows(batch).encode("utf-8", "surrogateescape")


def _saving(folder: OpenFolder, rejected: list[RejectedRow]) -> Iterator[bytes]:
    """Save `rejected` once all rows were read, but before the table without them replaces the old one."""
    save_rejected_rows(folder, rejected)
    yield b""
