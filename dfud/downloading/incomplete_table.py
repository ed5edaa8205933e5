"""The table of parts: versions that are incomplete, or could not be put in place."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from dfud.core.assembly import missing_chunks
from dfud.core.tables import format_rows
from dfud.downloading.part_metadata import PartMetadata, PartName
from dfud.downloading.parts_folder import PART_SUFFIX, PartsFolder
from dfud.files.open_folder import OpenFolder

_COLUMNS = ("rel_filepath", "size", "mtime_ns", "bytes_there", "chunks_missing", "why", "part")
_MAX_RANGES_CHARS = 1000


class IncompletePart(NamedTuple):
    """One row of the table."""

    path: bytes
    size: int | None
    mtime_ns: int | None
    n_bytes: int  # that are present
    chunks_missing: str  # ranges; "" if unknown
    failure: str  # why a complete one is not in place; "" for one that only lacks chunks
    part: str  # name of its file
    is_complete: bool

    def describe(self) -> str:
        """Return what is missing, or why a complete one is not in place; the path goes before it."""
        if self.failure:
            return f"is complete, but {self.failure}"
        size = "?" if self.size is None else self.size
        missing = f"; missing chunks: {self.chunks_missing}" if self.chunks_missing else ""
        return f"is incomplete: {self.n_bytes} of {size} bytes received{missing}"


def list_incomplete(folder: PartsFolder) -> Iterator[IncompletePart]:
    """Yield what the metadata in `folder` says."""
    for name, metadata in folder.list_parts():
        yield _row(name, metadata)


def _row(name: PartName, metadata: PartMetadata) -> IncompletePart:
    missing = ""
    if metadata.size is not None and metadata.chunk_size:
        missing = str(missing_chunks(metadata.spans, metadata.size, metadata.chunk_size))
        if len(missing) > _MAX_RANGES_CHARS:
            missing = missing[:_MAX_RANGES_CHARS].rpartition(" ")[0] + " …"
    return IncompletePart(
        metadata.path,
        metadata.size,
        metadata.mtime_ns,
        len(metadata.spans),
        missing,
        metadata.failure,
        f"{name}{PART_SUFFIX}",
        metadata.is_complete,
    )


class IncompleteTable:
    """The table of one topic, in LOGS."""

    def __init__(self, logs: OpenFolder, topic: str) -> None:
        """Use the table, which exists from the first `write` on."""
        self.path = logs.file(f"download_from_{topic}_incomplete.csv")
        self._logs = logs

    def write(self, rows: Iterable[IncompletePart]) -> None:
        """Replace the table; OSError if that fails."""
        cells: list[tuple[object, ...]] = [_COLUMNS]
        for row in rows:
            shown = (row.size, row.mtime_ns, row.n_bytes, row.chunks_missing, row.failure, row.part)
            cells.append((os.fsdecode(row.path), *("" if cell is None else cell for cell in shown)))
        self._logs.replace(self.path, [format_rows(cells).encode("utf-8", "surrogateescape")])
