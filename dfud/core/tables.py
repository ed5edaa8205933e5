"""The rows of the tables in LOGS and their text: RFC 4180 CSV, read row by row.

Text is `str`; bytes of a path that are not UTF-8 are surrogates in it (`os.fsdecode`), and are written back
unchanged. Reading never fails: a row that cannot be understood becomes a `BadRow`. The module `csv` reads and
writes only the rows that have quotes; the others are split and joined by hand, which is several times as fast.
"""

from __future__ import annotations

import csv
import io
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple, TypeVar, Union

from dfud.core.chunking import count_chunks
from dfud.core.ranges import RangeSet
from dfud.core.text import counted, escaped
from dfud.core.version import UNKNOWN_STAMP, FileStamp, FileVersion

# A quoted field holds at most one path of PATH_MAX bytes, each of which might be a line break.
_MAX_LINES_PER_ROW = 4096
_MAX_ROW_CHARS = 1 << 26  # of a row that has several lines


class InProgressRow(NamedTuple):
    """A file that was detected, and is not yet completely acknowledged."""

    rel_filepath: str
    size: int  # bytes
    mtime_ns: int
    chunk_size: int  # bytes
    n_chunks: int
    n_chunks_delivered: int
    n_chunks_to_send: int
    chunks_to_send: str  # the text form of a `RangeSet`
    started: str  # ISO 8601 with the UTC offset
    ctime_ns: int = 0  # of the file that the delivered chunks were read from; 0 if unknown
    inode: int = 0  # likewise


class CompletedRow(NamedTuple):
    """A file of which every chunk was acknowledged."""

    rel_filepath: str
    size: int  # bytes
    mtime_ns: int
    n_chunks: int
    chunk_size: int  # bytes
    xxh3_128: str  # of the file, 32 hex digits
    started: str  # ISO 8601 with the UTC offset
    completed: str  # ISO 8601 with the UTC offset


class UnprovenRow(NamedTuple):
    """A version that may be the last of its path on the topic, although no other table says so any more."""

    rel_filepath: str
    size: int  # bytes
    mtime_ns: int
    since: str  # ISO 8601 with the UTC offset; what was completed later is later on the topic


class BadRow(NamedTuple):
    """A row that cannot be understood."""

    number: int  # of the row in its table, 1-based, counting the header
    text: str  # as in the table, without its line end
    reason: str


NO_DIGEST = "0" * 32  # an xxh3_128 that is not known, because OpenMSIStream recorded none
_BOM = "\ufeff"  # some programs write it at the start of a table, which may then be appended to another
_DIGEST = re.compile("[0-9a-f]{32}")
_NEEDS_QUOTES = re.compile(b'[",\r\n]').search
csv.field_size_limit(1 << 30)  # chunks_to_send may be of any length

Row = TypeVar("Row", InProgressRow, CompletedRow, UnprovenRow)
AnyRow = Union[InProgressRow, CompletedRow, UnprovenRow]


def version_of(row: AnyRow) -> FileVersion:
    """Return the version of the file that `row` describes."""
    return FileVersion(os.fsencode(row.rel_filepath), row.size, row.mtime_ns)


def stamp_of(row: InProgressRow) -> FileStamp:
    """Return the stamp of the file that the delivered chunks of `row` were read from."""
    return FileStamp(row.ctime_ns, row.inode)


def in_progress_row(
    version: FileVersion, chunk_size: int, delivered: RangeSet, started: str, stamp: FileStamp = UNKNOWN_STAMP
) -> InProgressRow:
    """Return the row of a file of which the chunks in `delivered` were acknowledged."""
    n_chunks = count_chunks(version.size, chunk_size)
    n_delivered = len(delivered)
    return InProgressRow(
        os.fsdecode(version.path),
        version.size,
        version.mtime_ns,
        chunk_size,
        n_chunks,
        n_delivered,
        n_chunks - n_delivered,
        str(delivered.missing(n_chunks)) if n_delivered else ("1" if n_chunks == 1 else f"1-{n_chunks}"),
        started,
        *stamp,
    )


def format_rows(rows: Iterable[Sequence[object]]) -> str:
    """Return `rows` as CSV text, without a header."""
    text = io.StringIO(newline="")
    csv.writer(text).writerows(rows)
    return text.getvalue()


def format_row(row: AnyRow) -> str:
    """Return one row as CSV text; much faster than `format_rows` if nothing needs quotes."""
    text = ",".join(map(str, row))
    if '"' in text or "\n" in text or "\r" in text or text.count(",") != len(row) - 1:
        return format_rows([row])
    return text + "\r\n"


def completed_line(
    version: FileVersion, n_chunks: int, chunk_size: int, xxh3_128: str, started: str, completed: str
) -> bytes:
    """Return the row of a completed file as it is in the table, several times as fast as `format_row`."""
    path, size, mtime_ns = version
    if _NEEDS_QUOTES(path):
        row = CompletedRow(os.fsdecode(path), size, mtime_ns, n_chunks, chunk_size, xxh3_128, started, completed)
        return format_row(row).encode("utf-8", "surrogateescape")
    return path + f",{size},{mtime_ns},{n_chunks},{chunk_size},{xxh3_128},{started},{completed}\r\n".encode()


def format_table(kind: type[AnyRow], rows: Iterable[AnyRow]) -> str:
    """Return a table as CSV text, its header row first."""
    return format_rows([kind._fields]) + format_rows(rows)


def read_in_progress(lines: Iterable[str]) -> Iterator[InProgressRow | BadRow]:
    """Read an in-progress table from its lines, each with its line end."""
    return _read(lines, InProgressRow, _in_progress)


def read_completed(lines: Iterable[str], first: int = 1) -> Iterator[CompletedRow | BadRow]:
    """Read a completed table, or several concatenated ones; `first` is the number of the first row."""
    return _read(lines, CompletedRow, _completed, first)


def read_unproven(lines: Iterable[str]) -> Iterator[UnprovenRow | BadRow]:
    """Read a table of unproven versions from its lines, each with its line end."""
    return _read(lines, UnprovenRow, _unproven)


def _read(
    lines: Iterable[str], kind: type[Row], check: Callable[[Sequence[str]], Row], first: int = 1
) -> Iterator[Row | BadRow]:
    fields = kind._fields
    required = len(fields) - len(kind._field_defaults)  # columns; tables of earlier versions lack the others
    order: list[int] | None = None  # of the columns, if it is not ours; -1 for one that the table lacks
    source = _Lines(lines)
    number = first - 1
    for line in source:
        number += 1
        text = line.rstrip("\r\n")
        cells = source.quoted(line) if '"' in line else text.split(",")
        if not text:
            continue  # an empty line
        if fields[0] in line:
            names = [cell.lstrip(_BOM) for cell in cells]
            if set(fields[:required]) <= set(names):
                order = None
                if tuple(names) != fields:
                    order = [names.index(field) if field in names else -1 for field in fields]
                continue
        try:
            row = check(_ordered(cells, order, len(fields)))
        except ValueError as error:
            if '"' in line:
                source.push_back()  # a stray quote may have joined lines: each is read on its own
            yield BadRow(number, text, escaped(str(error)))
        else:
            yield row


def _ordered(cells: Sequence[str], order: list[int] | None, columns: int) -> Sequence[str]:
    if not cells:
        raise ValueError("it is not CSV, or a quote is not closed")
    if order is not None and len(cells) > max(order):
        return [cells[at] if at >= 0 else "0" for at in order]
    if len(cells) != columns:
        raise ValueError(f"it has {counted(len(cells), 'column')} instead of {columns}")
    return cells


class _Lines:
    """The lines of a table; those of a record that turns out not to be one can be read once more."""

    def __init__(self, lines: Iterable[str]) -> None:
        self._waiting = iter(lines)
        self._again: list[str] = []  # to be read once more, the last one first
        self._taken: list[str] = []  # the lines of the present record after its first one

    def __iter__(self) -> Iterator[str]:
        while True:
            if self._again:
                yield self._again.pop()
            else:
                line = next(self._waiting, None)
                if line is None:
                    return
                yield line

    def quoted(self, line: str) -> list[str]:
        """Return the cells of the record that begins with `line`; none if it is not CSV."""
        self._taken.clear()
        try:
            return next(csv.reader(self._record(line), strict=True))
        except csv.Error:
            self.push_back()
            return []

    def push_back(self) -> None:
        """Arrange for all lines of the present record but its first one to be read again."""
        self._again += reversed(self._taken)
        self._taken.clear()

    def _record(self, line: str) -> Iterator[str]:
        yield line
        n_chars = len(line)
        for following in self:
            self._taken.append(following)
            yield following
            n_chars += len(following)
            if len(self._taken) >= _MAX_LINES_PER_ROW or n_chars > _MAX_ROW_CHARS:
                return


def _in_progress(cells: Sequence[str]) -> InProgressRow:
    path, size, mtime_ns, chunk_size, n_chunks, delivered, to_send, chunks, started, ctime_ns, inode = cells
    row = InProgressRow(
        checked_path(path),
        _count("size", size),
        _integer("mtime_ns", mtime_ns),
        _count("chunk_size", chunk_size),
        _count("n_chunks", n_chunks),
        _count("n_chunks_delivered", delivered),
        _count("n_chunks_to_send", to_send),
        chunks,
        started,
        _integer("ctime_ns", ctime_ns),
        _count("inode", inode),
    )
    _check_chunks(row)
    missing = RangeSet.parse(chunks)
    if len(missing) != row.n_chunks_to_send or row.n_chunks_delivered + row.n_chunks_to_send != row.n_chunks:
        raise ValueError("its numbers of chunks do not add up")
    if missing.missing(row.n_chunks) and len(missing.missing(row.n_chunks)) != row.n_chunks_delivered:
        raise ValueError("chunks_to_send exceeds n_chunks")
    return row


def _completed(cells: Sequence[str]) -> CompletedRow:
    path, size, mtime_ns, n_chunks, chunk_size, xxh3_128, started, completed = cells
    row = CompletedRow(
        checked_path(path),
        _count("size", size),
        _integer("mtime_ns", mtime_ns),
        _count("n_chunks", n_chunks),
        _count("chunk_size", chunk_size),
        xxh3_128,
        started,
        completed,
    )
    _check_chunks(row)
    if _DIGEST.fullmatch(xxh3_128) is None:
        raise ValueError("xxh3_128 is not 32 hex digits")
    return row


def _unproven(cells: Sequence[str]) -> UnprovenRow:
    path, size, mtime_ns, since = cells
    return UnprovenRow(checked_path(path), _count("size", size), _integer("mtime_ns", mtime_ns), since)


def _check_chunks(row: InProgressRow | CompletedRow) -> None:
    if row.chunk_size < 1 or row.n_chunks != count_chunks(row.size, row.chunk_size):
        raise ValueError("n_chunks does not follow from size and chunk_size")


def checked_path(text: str) -> str:
    """Return `text`; ValueError if it is not a relative path that stays inside the directory."""
    if not text or text.startswith("/") or "\0" in text or (".." in text and ".." in text.split("/")):
        raise ValueError("rel_filepath is not a path inside the directory")
    return text


def _count(name: str, text: str) -> int:
    number = _integer(name, text)
    if number < 0:
        raise ValueError(f"{name} is negative")
    return number


def _integer(name: str, text: str) -> int:
    if len(text) > 20:  # 64 bits have 19 digits
        raise ValueError(f"{name} is not a number that a file can have")
    try:
        return int(text)
    except ValueError:
        raise ValueError(f"{name} is not a whole number") from None
