"""The fast path through a completed table of a million rows: whole blocks of rows that need no quotes.

It returns only what an index of the table needs. It is written by hand because a regular expression over a block
is several times as fast as `csv` with `dfud.core.tables`, which remains the authority: it reads whatever is not
clearly a valid row.
"""

from __future__ import annotations

import re
from binascii import unhexlify
from typing import NamedTuple

import xxhash

from dfud.core.tables import CompletedRow, format_rows

HEADER = format_rows([CompletedRow._fields]).encode()

_PLAIN = re.compile(
    rb"^(([^/\",\0\r\n][^\",\0\r\n]*),(0|[1-9]\d{0,17}),(?:0|-?[1-9]\d{0,18})),"  # path, size, mtime_ns
    rb"([1-9]\d{0,17}),([1-9]\d{0,17}),([0-9a-f]{32}),"  # n_chunks, chunk_size, xxh3_128
    rb"[^\",\r\n]*,[^\",\r\n]*\r\n",  # started, completed
    re.MULTILINE,
)


class PlainRows(NamedTuple):
    """What an index needs of some rows."""

    records: list[bytes]  # identity and digest of each, 32 bytes; the identity is that of `FileVersion.identity`
    paths: list[bytes]

    def folders(self) -> set[bytes]:
        """Return the paths of the folders that the files lie in."""
        return {path.rpartition(b"/")[0] for path in self.paths}

    @classmethod
    def parse(cls, block: bytes) -> PlainRows | None:
        """Parse whole lines of the table; None if any row is not clearly valid. Header rows are skipped."""
        rows = _find_rows(block)
        if rows is None:
            return None
        key = xxhash.xxh3_64_digest
        records = [
            key(path) + key(version) + unhexlify(xxh3_128)
            for version, path, size, n_chunks, chunk_size, xxh3_128 in rows
            if -(-int(size) // int(chunk_size)) == int(n_chunks) or (size == b"0" and n_chunks == b"1")
        ]
        if len(records) != len(rows):
            return None
        return cls(records, [row[1] for row in rows])


def plain_paths(block: bytes) -> list[bytes] | None:
    """Return the path of each row in `block`, whole lines of the table; None if any row is not clearly plain."""
    rows = _find_rows(block)
    return None if rows is None else [row[1] for row in rows]


def plain_times(block: bytes) -> list[tuple[bytes, bytes]] | None:
    """Return path and time of completion of each row in `block`; None if any row is not clearly plain."""
    if _find_rows(block) is None:
        return None
    header = HEADER.rstrip(b"\r\n")
    lines = (line for line in block.splitlines() if line != header)
    return [(line[: line.index(b",")], line[line.rindex(b",") + 1 :]) for line in lines]


def _find_rows(block: bytes) -> list[tuple[bytes, ...]] | None:
    if b'"' in block or b".." in block:  # a quoted path may contain line breaks, and text that looks like rows
        return None
    if not block.endswith(b"\n"):  # the last line is cut off
        return None
    if HEADER in block:  # only at the start of a line: what precedes it elsewhere would join a row
        block = (b"\n" + block).replace(b"\n" + HEADER, b"\n")[1:]
    rows = _PLAIN.findall(block)
    return rows if len(rows) == block.count(b"\n") else None
