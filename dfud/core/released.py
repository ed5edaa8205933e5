"""The table of released files: what was removed from the directory, when, and who has it."""

from __future__ import annotations

import csv
import json
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from dfud.core.names import path_fault
from dfud.core.tables import format_rows
from dfud.core.version import FileVersion

RELEASING, RELEASED, KEPT = "releasing", "released", "kept"
_STATES = (RELEASING, RELEASED, KEPT)
_DIGEST = re.compile("[0-9a-f]{32}")
_MAX_NUMBER_CHARS = 20  # of 64 bits


class ReleasedRow(NamedTuple):
    """A step of the removal of one version of a file."""

    rel_filepath: str
    size: int  # bytes
    mtime_ns: int
    xxh3_128: str  # of the file, 32 hex digits
    inode: int
    receivers: str  # whose receipts were found: a JSON array of their names
    moved_to: str  # the directory that it was moved to; "" if it was deleted
    state: str  # RELEASING before anything is done to it, then RELEASED or KEPT
    time: str  # ISO 8601 with the UTC offset

    @property
    def version(self) -> FileVersion:
        """The version of the file."""
        return FileVersion(os.fsencode(self.rel_filepath), self.size, self.mtime_ns)


HEADER = format_rows([ReleasedRow._fields]).encode()


def format_released(rows: Iterable[ReleasedRow]) -> bytes:
    """Return rows as CSV text, without a header."""
    return format_rows(rows).encode("utf-8", "surrogateescape")


def receivers_text(names: Iterable[str]) -> str:
    """Return the names of receivers as a row has them."""
    return json.dumps(sorted(names), ensure_ascii=False).encode("utf-8", "backslashreplace").decode()


def read_released(lines: Iterable[str]) -> Iterator[ReleasedRow]:
    """Yield the rows of a table from its lines, each with its line end; what cannot be understood is skipped."""
    rows = csv.reader(lines, strict=False)
    while True:
        try:
            cells = next(rows)
        except StopIteration:
            return
        except csv.Error:
            continue
        row = _parsed(cells)
        if row is not None:
            yield row


def open_rows(rows: Iterable[ReleasedRow]) -> list[ReleasedRow]:
    """Return the rows of the files that were about to be removed, and of which it is not recorded what became."""
    found: dict[tuple[str, int, int], ReleasedRow] = {}
    for row in rows:
        about = row.rel_filepath, row.size, row.mtime_ns
        if row.state == RELEASING:
            found[about] = row
        else:
            found.pop(about, None)
    return list(found.values())


def _parsed(cells: Sequence[str]) -> ReleasedRow | None:
    if len(cells) != len(ReleasedRow._fields):
        return None
    path, size, mtime_ns, digest, inode, receivers, moved_to, state, time = cells
    if (
        state not in _STATES
        or _DIGEST.fullmatch(digest) is None
        or max(map(len, (size, mtime_ns, inode))) > _MAX_NUMBER_CHARS
    ):
        return None
    try:
        row = ReleasedRow(path, int(size), int(mtime_ns), digest, int(inode), receivers, moved_to, state, time)
    except ValueError:
        return None
    return None if path_fault(os.fsencode(path)) else row
