"""The index of a completed table, saved beside it: reading a million rows anew at each start takes seconds.

It says nothing of its own. It is used only if the table still begins with the very bytes that it was made of, what
follows them is read as rows, and whatever is wrong with it, the table is read instead. It is not synced: after a
power cut its digest tells.

The file: `_HEADER`, the records of `RecordedVersions.saved`, and the XXH3 of 128 bits of all that.
"""

from __future__ import annotations

import contextlib
import os
import struct
from typing import BinaryIO, NamedTuple

import xxhash

from dfud.logs.completed.recorded import FOLDER_BYTES, RECORD_BYTES, RecordedVersions
from dfud.logs.layout import LogsFolder

MIN_ROWS = 20_000  # that are not in the index yet, before it is written
_MAGIC = b"dfud index 1\n\0\0\0"
_HEADER = struct.Struct("=16sQ16sQQ")  # magic, bytes of the table, their XXH3, records, folders; in native order
_DIGEST_BYTES = 16
_BLOCK_BYTES = 1 << 20


class SavedIndex(NamedTuple):
    """What an index says of the beginning of a table."""

    recorded: RecordedVersions
    table_bytes: int


def read_index(folder: LogsFolder) -> SavedIndex | None:
    """Return the index of the completed table; None if there is none for what the table holds now."""
    with contextlib.suppress(OSError), folder.open_to_read(folder.index) as file:
        header = file.read(_HEADER.size)
        if len(header) != _HEADER.size:
            return None
        magic, table_bytes, table_digest, n_records, n_folders = _HEADER.unpack(header)
        body_bytes = n_records * RECORD_BYTES + n_folders * FOLDER_BYTES
        is_whole = os.fstat(file.fileno()).st_size == _HEADER.size + body_bytes + _DIGEST_BYTES
        if magic != _MAGIC or not is_whole or _digest_of_table(folder, table_bytes) != table_digest:
            return None
        records, folders = file.read(n_records * RECORD_BYTES), file.read(n_folders * FOLDER_BYTES)
        if _digest(header, records, folders) == file.read():
            return SavedIndex(RecordedVersions.from_saved(records, folders), table_bytes)
    return None


def write_index(folder: LogsFolder, recorded: RecordedVersions, table: os.stat_result) -> None:
    """Write the index of the completed table, which `recorded` holds; `table` is its status before it was read.

    If that is not possible, the next start reads the table.
    """
    saved = recorded.saved()
    if saved is None:
        return
    digest = _digest_of_table(folder, table.st_size)
    present = folder.stat(folder.completed)
    if digest is None or present is None or _stamp(present) != _stamp(table):
        return
    records, folders = saved
    counts = len(records) // RECORD_BYTES, len(folders) // FOLDER_BYTES
    header = _HEADER.pack(_MAGIC, table.st_size, digest, *counts)
    with contextlib.suppress(OSError):
        folder.replace(folder.index, [header, records, folders, _digest(header, records, folders)], durable=False)


def _digest_of_table(folder: LogsFolder, n_bytes: int) -> bytes | None:
    """Return the digest of the first bytes of the completed table; None if it has fewer, or cannot be read."""
    try:
        with folder.open_to_read(folder.completed) as file:
            return _digest_of(file, n_bytes)
    except OSError:
        return None


def _digest_of(file: BinaryIO, n_bytes: int) -> bytes | None:
    state = xxhash.xxh3_128()
    left = n_bytes
    while left:
        block = file.read(min(left, _BLOCK_BYTES))
        if not block:
            return None
        state.update(block)
        left -= len(block)
    return state.digest()


def _digest(*parts: bytes) -> bytes:
    state = xxhash.xxh3_128()
    for part in parts:
        state.update(part)
    return state.digest()


def _stamp(status: os.stat_result) -> tuple[int, ...]:
    return status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
