"""The table of parts: versions that are incomplete, or could not be put in place."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from dfud.core.assembly import missing_chunks
from dfud.core.tables import format_rows
from dfud.downloading.obsolete import ObsoleteParts
from dfud.downloading.part_metadata import PartMetadata, PartName
from dfud.downloading.parts_folder import PART_SUFFIX, PartsFolder
from dfud.files.confined import ConfinedTree
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
    description: str  # what is missing, or why a complete one is not in place; the path goes before it


def list_incomplete(folder: PartsFolder, tree: ConfinedTree, is_over: bool) -> Iterator[IncompletePart]:
    """Yield what the metadata in `folder` says, but for parts that nobody needs.

    Those are removed if the run is over, so that no fetcher uses them.
    """
    obsolete = ObsoleteParts(tree, folder)
    for name, metadata in folder.list_parts():
        if not (obsolete.remove if is_over else obsolete.includes)(name, metadata):
            yield _row(name, metadata)


def describe_incomplete(metadata: PartMetadata) -> str:
    """Return what a part lacks, or why a complete one is not in place; the path goes before it."""
    where = _where(metadata)
    if metadata.failure:
        return f"is complete, but {metadata.failure}{where}"
    size = "?" if metadata.size is None else metadata.size
    missing = _missing_chunks(metadata)
    chunks = f"; missing chunks: {missing}" if missing else ""
    return f"is incomplete: {len(metadata.spans)} of {size} bytes received{chunks}{where}"


def _where(metadata: PartMetadata) -> str:
    """Return where on the topic a part was read, to follow a description; "" if that is not known."""
    first, last = metadata.first, metadata.sent
    if first is None or last is None:
        return ""
    if first.partition != last.partition:
        ends = f"partition {first.partition}, offset {first.offset} to partition {last.partition}, offset"
        return f" (received from {ends} {last.offset})"
    if first.offset == last.offset:
        return f" (received from partition {last.partition}, offset {last.offset})"
    return f" (received from partition {last.partition}, offsets {first.offset} to {last.offset})"


def _missing_chunks(metadata: PartMetadata) -> str:
    if metadata.size is None or not metadata.chunk_size:
        return ""
    missing = str(missing_chunks(metadata.spans, metadata.size, metadata.chunk_size))
    if len(missing) > _MAX_RANGES_CHARS:
        missing = missing[:_MAX_RANGES_CHARS].rpartition(" ")[0] + " …"
    return missing


def _row(name: PartName, metadata: PartMetadata) -> IncompletePart:
    return IncompletePart(
        metadata.path,
        metadata.size,
        metadata.mtime_ns,
        len(metadata.spans),
        _missing_chunks(metadata),
        metadata.failure,
        f"{name}{PART_SUFFIX}",
        metadata.is_complete,
        describe_incomplete(metadata),
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
