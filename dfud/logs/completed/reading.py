"""Reading the completed table and its shards."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterable, Iterator
from typing import BinaryIO, TypeVar

from dfud.core.plain_rows import PlainRows, plain_paths, plain_times
from dfud.core.tables import CompletedRow, read_completed, version_of
from dfud.core.version import folders_above, path_key
from dfud.files.open_folder import OpenFolder
from dfud.logs.completed.index import IDENTITY_BYTES
from dfud.logs.completed.recorded import RecordedVersions
from dfud.logs.completed.saved_index import MIN_ROWS, SavedIndex, read_index, write_index
from dfud.logs.layout import LogsFolder
from dfud.logs.table_files import RejectedRow, accepted_rows, bounded_lines, read_lines

Columns = TypeVar("Columns")
_BLOCK_BYTES = 1 << 20


def load_table(folder: LogsFolder, rejected: list[RejectedRow]) -> RecordedVersions:
    """Return what the completed table says; by its saved index, if there is one, which is renewed if that pays."""
    table = folder.stat(folder.completed)
    saved = read_index(folder)
    recorded = None if saved is None else saved.recorded
    n_new = 0 if saved is None else _add_rest(folder, saved)
    if recorded is None or n_new is None:
        recorded = _load(folder, folder.completed, rejected)
        n_new = len(recorded)
    if table is not None and not rejected and n_new >= MIN_ROWS:
        write_index(folder, recorded, table)
    return recorded


def _add_rest(folder: LogsFolder, saved: SavedIndex) -> int | None:
    """Add the rows of the table that an index does not have; return their number, None if one is not plain."""
    n_rows = 0
    with folder.open_to_read(folder.completed) as file:
        file.seek(saved.table_bytes)
        while block := whole_lines(file, folder.completed):
            rows = PlainRows.parse(block)
            if rows is None:
                return None
            n_rows += len(rows.paths)
            for path, record in zip(rows.paths, rows.records):
                saved.recorded.add(path, record[:IDENTITY_BYTES], record[IDENTITY_BYTES:])
    return n_rows


def _load(folder: OpenFolder, path: str, rejected: list[RejectedRow]) -> RecordedVersions:
    """Return what a completed table says; its rows are read twice only if files have become folders, or back."""
    folders: set[bytes] = set()
    recorded = RecordedVersions(_records(folder, path, rejected, folders), folders)
    ambiguous = recorded.ambiguous()
    if ambiguous:
        recorded.settle(ambiguous, _paths(folder, path))
    return recorded


def _records(
    folder: OpenFolder, path: str, rejected: list[RejectedRow], folder_keys: set[bytes]
) -> Iterator[bytes]:
    """Yield identity and digest of each row, and add the keys of the folders that the files lie in.

    The fast path is taken as far as possible, then the thorough one.
    """
    with folder.open_to_read(path) as file:
        number = 1
        before: set[bytes] = set()
        while block := whole_lines(file, path):
            rows = PlainRows.parse(block)
            if rows is None:
                file.seek(-len(block), os.SEEK_CUR)
                break
            folders = rows.folders()
            for each in folders - before:
                _add_folder(each, folder_keys)
            before = folders
            yield from rows.records
            number += block.count(b"\n")
        last = b""
        with io.TextIOWrapper(file, encoding="utf-8-sig", errors="surrogateescape", newline="") as lines:
            for row in accepted_rows(read_completed(bounded_lines(lines, path), number), path, rejected):
                version = version_of(row)
                if version.path.rpartition(b"/")[0] != last:
                    last = version.path.rpartition(b"/")[0]
                    _add_folder(last, folder_keys)
                yield version.identity() + bytes.fromhex(row.xxh3_128)


def _add_folder(path: bytes, keys: set[bytes]) -> None:
    """Add the keys of a folder and of those above it."""
    for folder in (path, *folders_above(path)):
        key = path_key(folder)
        if not folder or key in keys:
            break
        keys.add(key)


def _paths(folder: OpenFolder, path: str) -> Iterator[bytes]:
    """Yield the path of each row of a table."""
    return _columns(folder, path, plain_paths, lambda row: version_of(row).path)


def read_times(folder: OpenFolder, paths: Iterable[str]) -> Iterator[tuple[bytes, bytes]]:
    """Yield the path and the time of completion of each row of tables."""
    for path in paths:
        yield from _columns(
            folder, path, plain_times, lambda row: (version_of(row).path, os.fsencode(row.completed))
        )


def _columns(
    folder: OpenFolder,
    path: str,
    plain: Callable[[bytes], list[Columns] | None],
    thorough: Callable[[CompletedRow], Columns],
) -> Iterator[Columns]:
    """Yield some columns of a table, by the `plain` way as far as possible."""
    with folder.open_to_read(path) as file:
        while block := whole_lines(file, path):
            columns = plain(block)
            if columns is None:
                file.seek(-len(block), os.SEEK_CUR)
                break
            yield from columns
        with io.TextIOWrapper(file, encoding="utf-8-sig", errors="surrogateescape", newline="") as lines:
            for row in accepted_rows(read_completed(bounded_lines(lines, path)), path, []):
                yield thorough(row)


def read_rows(folder: OpenFolder, paths: Iterable[str], rejected: list[RejectedRow]) -> Iterator[CompletedRow]:
    """Yield the rows of tables; those that cannot be understood are added to `rejected`."""
    for path in paths:
        yield from accepted_rows(read_completed(read_lines(folder, path)), path, rejected)


def whole_lines(file: BinaryIO, path: str) -> bytes:
    """Return the next block of lines; only at the end of the file may the last one be incomplete."""
    return file.read(_BLOCK_BYTES) + next(bounded_lines(file, path), b"")
