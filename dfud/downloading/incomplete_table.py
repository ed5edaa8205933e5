"""The table of what is kept aside: versions that are not whole, or could not be put in their place."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from dfud.core.assembly import missing_chunks
from dfud.core.tables import format_rows
from dfud.downloading.parts import PART, PartMetadata, PartName, PartsFolder
from dfud.files.atomic import replace_file

_COLUMNS = ("rel_filepath", "size", "mtime_ns", "bytes_there", "chunks_missing", "why", "part")
_MAX_RANGES = 1000  # characters


class IncompletePart(NamedTuple):
    """One part that is kept aside."""

    path: bytes
    size: int | None
    mtime_ns: int | None
    bytes_there: int
    chunks_missing: str  # ranges, "" where they can't be told
    why: str  # in words; "" for one that only lacks chunks
    part: str  # name of its file
    is_whole: bool

    @property
    def what(self) -> str:
        """Say what there is of it."""
        if self.why:
            return self.why
        lacks = f"; it lacks chunks {self.chunks_missing}" if self.chunks_missing else ""
        size = "?" if self.size is None else self.size
        return f"{self.bytes_there} of its {size} bytes are there{lacks}"


def list_incomplete(folder: PartsFolder) -> Iterator[IncompletePart]:
    """Give what is kept aside, as far as the notes tell of it."""
    for name, note in folder.notes():
        yield _incomplete(name, note)


def _incomplete(name: PartName, note: PartMetadata) -> IncompletePart:
    missing = ""
    if note.size is not None and note.chunk_size:
        missing = str(missing_chunks(note.spans, note.size, note.chunk_size))
        if len(missing) > _MAX_RANGES:
            missing = missing[:_MAX_RANGES].rpartition(" ")[0] + " …"
    is_whole = note.size is not None and note.spans.covers(note.size)
    return IncompletePart(
        note.path, note.size, note.mtime_ns, len(note.spans), missing, note.trouble, f"{name}{PART}", is_whole
    )


def write_incomplete_table(path: str, rows: Iterable[IncompletePart]) -> None:
    """Replace the table; OSError if that fails."""
    cells: list[tuple[object, ...]] = [_COLUMNS]
    for row in rows:
        shown = (row.size, row.mtime_ns, row.bytes_there, row.chunks_missing, row.why, row.part)
        cells.append((os.fsdecode(row.path), *("" if cell is None else cell for cell in shown)))
    replace_file(path, [format_rows(cells).encode("utf-8", "surrogateescape")])
