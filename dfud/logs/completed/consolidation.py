"""Merging the shards into the completed table."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import BinaryIO, NamedTuple

from dfud.core.plain_rows import HEADER, plain_records
from dfud.core.tables import CompletedRow, format_rows, read_completed, version_of
from dfud.files.open_folder import OpenFolder
from dfud.logs.completed.index import CompletedIndex
from dfud.logs.layout import LogsFolder
from dfud.logs.table_files import RejectedRow, accepted_rows, read_lines, save_rejected_rows

_ROWS_AT_ONCE = 1000
_BLOCK_BYTES = 1 << 20


class Consolidated(NamedTuple):
    """The result of `consolidate`."""

    completed: CompletedIndex
    rejected: list[RejectedRow]
    error: OSError | None  # why the table could not be written; the shards are then unchanged


def consolidate(folder: LogsFolder, shards: list[str]) -> Consolidated:
    """Read the completed table and `shards`, merge them into one table, and return an index of it.

    A row of a shard that is already in the table (after a crash between writing the table and removing the shard)
    is not added again. Rows that cannot be understood are saved in a file beside the table, and returned. Nothing
    is written if nothing changes. Raises OSError if a table cannot be read.
    """
    rejected: list[RejectedRow] = []
    present = folder.exists(folder.completed)
    index = CompletedIndex(_records(folder, folder.completed, rejected) if present else ())
    if not shards and not rejected:
        return Consolidated(index, rejected, None)
    new = _unknown(_rows(folder, shards, rejected), index)
    error = _merge(folder, shards, _encoded(new, header=False), rejected)
    for _ in new:
        pass  # after an error, too, the index must hold all of the shards
    return Consolidated(index, rejected, error)


def append_shards(folder: LogsFolder, shards: list[str]) -> OSError | None:
    """Append `shards`, of which the completed table has no row yet, to it; return why that failed, or None.

    The table itself is copied without parsing it: this is for the end of a run, which parsed it at its start.
    """
    if not shards:
        return None
    rejected: list[RejectedRow] = []
    new: Iterable[bytes]
    try:
        if all(_is_ours(folder, shard) for shard in shards):
            new = chain.from_iterable(_copied(folder, shard, len(HEADER)) for shard in shards)
        else:
            new = _encoded(_rows(folder, shards, rejected), header=False)
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
            old = _encoded(_rows(folder, [folder.completed] if present else [], []), header=True)
        folder.replace(folder.completed, chain(old, new, _saving(folder, rejected)))
    except OSError as error:
        return error
    for shard in shards:
        with contextlib.suppress(OSError):  # the next run reads it again, and finds its rows in the table
            folder.unlink(shard)
    return None


def _unknown(rows: Iterable[CompletedRow], index: CompletedIndex) -> Iterator[CompletedRow]:
    """Yield the rows that are not in `index` yet, and add them to it."""
    for row in rows:
        identity, digest = version_of(row).identity(), bytes.fromhex(row.xxh3_128)
        if index.digest(identity) != digest:
            index.add(identity, digest)
            yield row


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


def _records(folder: OpenFolder, path: str, rejected: list[RejectedRow]) -> Iterator[bytes]:
    """Yield identity and digest of each row: by the fast path as far as possible, then by the thorough one."""
    with folder.open_to_read(path) as file:
        number = 1
        while block := _whole_lines(file):
            records = plain_records(block)
            if records is None:
                file.seek(-len(block), os.SEEK_CUR)
                break
            yield from records
            number += block.count(b"\n")
        with io.TextIOWrapper(file, encoding="utf-8-sig", errors="surrogateescape", newline="") as lines:
            for row in accepted_rows(read_completed(lines, number), path, rejected):
                yield version_of(row).identity() + bytes.fromhex(row.xxh3_128)


def _whole_lines(file: BinaryIO) -> bytes:
    """Return the next block of lines; only at the end of the file may the last one be incomplete."""
    return file.read(_BLOCK_BYTES) + file.readline()


def _rows(folder: OpenFolder, paths: Iterable[str], rejected: list[RejectedRow]) -> Iterator[CompletedRow]:
    """Yield the rows of tables; those that cannot be understood are added to `rejected`."""
    for path in paths:
        yield from accepted_rows(read_completed(read_lines(folder, path)), path, rejected)


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
