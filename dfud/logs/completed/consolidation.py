"""Bringing the shards into the one completed table."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import BinaryIO, NamedTuple

from dfud.core.plain_rows import HEADER, plain_records
from dfud.core.tables import CompletedRow, format_rows, read_completed, version_of
from dfud.files.atomic import replace_file
from dfud.logs.completed.index import CompletedIndex
from dfud.logs.layout import LogsFolder
from dfud.logs.table_files import RejectedRow, accepted_rows, read_lines, save_rejected_rows

_ROWS_AT_ONCE = 1000
_BLOCK_BYTES = 1 << 20


class Consolidated(NamedTuple):
    """What `consolidate` found."""

    known: CompletedIndex
    bad: list[RejectedRow]
    trouble: OSError | None  # why the one table could not be written; the shards are then as they were


def consolidate(folder: LogsFolder, shards: list[str]) -> Consolidated:
    """Read the completed table and `shards`, make one table of them, and return what is in it.

    A row of a shard that the table has already (a crash came between writing it and removing the shard) is not
    added again. Rows that can't be understood are kept in a file beside, and handed back. Nothing is written
    where there is nothing to be changed. Raises OSError if a table can't be read.
    """
    bad: list[RejectedRow] = []
    present = os.path.exists(folder.completed)
    index = CompletedIndex(_records(folder.completed, bad) if present else ())
    if not shards and not bad:
        return Consolidated(index, bad, None)
    new = _unknown(_rows(shards, bad), index)
    trouble = _join(folder, shards, _encoded(new, header=False), bad)
    for _ in new:
        pass  # the rest of the shards has to get into the index all the same
    return Consolidated(index, bad, trouble)


def append_shards(folder: LogsFolder, shards: list[str]) -> OSError | None:
    """Bring `shards`, of which the completed table has no row yet, into it; return why that failed, or None.

    The table itself is copied and not read: this is for the end of a run, which has read it at its start.
    """
    if not shards:
        return None
    bad: list[RejectedRow] = []
    new: Iterable[bytes]
    try:
        if all(map(_is_ours, shards)):
            new = chain.from_iterable(_copied(shard, len(HEADER)) for shard in shards)
        else:
            new = _encoded(_rows(shards, bad), header=False)
    except OSError as trouble:
        return trouble
    return _join(folder, shards, new, bad)


def _join(folder: LogsFolder, shards: list[str], new: Iterable[bytes], bad: list[RejectedRow]) -> OSError | None:
    """Write the completed table and the rows `new` of `shards` as one; `bad` is kept aside, and may still grow."""
    present = os.path.exists(folder.completed)
    try:
        if present and not bad and _is_ours(folder.completed):
            old = _copied(folder.completed)
        else:
            old = _encoded(_rows([folder.completed] if present else [], []), header=True)
        replace_file(folder.completed, chain(old, new, _kept_aside(bad)))
    except OSError as trouble:
        return trouble
    for shard in shards:
        with contextlib.suppress(OSError):  # what is left is read once more, and found to be known
            os.unlink(shard)
    return None


def _unknown(rows: Iterable[CompletedRow], index: CompletedIndex) -> Iterator[CompletedRow]:
    for row in rows:
        identity, digest = version_of(row).identity(), bytes.fromhex(row.xxh3_128)
        if index.digest(identity) != digest:
            index.add(identity, digest)
            yield row


def _is_ours(path: str) -> bool:
    """Tell whether a table begins with our header and ends with a whole line, so that rows can follow."""
    with open(path, "rb") as file:
        if file.read(len(HEADER)) != HEADER:
            return False
        file.seek(-2, os.SEEK_END)
        return file.read() == b"\r\n"


def _copied(path: str, skip: int = 0) -> Iterator[bytes]:
    """Give the content of a file from the byte `skip` on."""
    with open(path, "rb") as file:
        file.seek(skip)
        while piece := file.read(1 << 20):
            yield piece


def _records(path: str, bad: list[RejectedRow]) -> Iterator[bytes]:
    """Give identity and digest of each row: the quick way as far as that goes, the careful way from there on."""
    with open(path, "rb") as file:
        number = 1
        while block := _whole_lines(file):
            records = plain_records(block)
            if records is None:
                file.seek(-len(block), os.SEEK_CUR)
                break
            yield from records
            number += block.count(b"\n")
        with io.TextIOWrapper(file, encoding="utf-8-sig", errors="surrogateescape", newline="") as lines:
            for row in accepted_rows(read_completed(lines, number), path, bad):
                yield version_of(row).identity() + bytes.fromhex(row.xxh3_128)


def _whole_lines(file: BinaryIO) -> bytes:
    """Return the next block of lines, the last of which may be unfinished only at the end of the file."""
    return file.read(_BLOCK_BYTES) + file.readline()


def _rows(paths: Iterable[str], bad: list[RejectedRow]) -> Iterator[CompletedRow]:
    for path in paths:
        yield from accepted_rows(read_completed(read_lines(path)), path, bad)


def _encoded(rows: Iterable[CompletedRow], header: bool) -> Iterator[bytes]:
    batch: list[tuple[object, ...]] = [CompletedRow._fields] if header else []
    for row in rows:
        batch.append(row)
        if len(batch) >= _ROWS_AT_ONCE:
            yield format_rows(batch).encode("utf-8", "surrogateescape")
            batch = []
    yield format_rows(batch).encode("utf-8", "surrogateescape")


def _kept_aside(bad: list[RejectedRow]) -> Iterator[bytes]:
    """Keep `bad` aside when it has been read to its end, and before the table that lacks it takes its place."""
    save_rejected_rows(bad)
    yield b""
