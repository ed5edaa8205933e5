"""Taking over the tables that OpenMSIStream left in LOGS.

They have the names of ours, and are told by their first line. What can be used of them is written as tables of our
own; the originals are kept beside as ``.bak``. Each step can be done again, so that a crash between two costs
nothing.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import NamedTuple

from dfud.core.chunking import count_chunks, find_chunk_size
from dfud.core.openmsistream_tables import (
    OpenMSICompletedRow,
    OpenMSIInProgressRow,
    is_openmsistream,
    read_openmsi_completed,
    read_openmsi_in_progress,
)
from dfud.core.ranges import RangeSet
from dfud.core.tables import NO_DIGEST, BadRow, CompletedRow, InProgressRow, format_table, in_progress_row
from dfud.core.text import printable
from dfud.core.version import FileVersion
from dfud.files.atomic import replace_file, sync_folder
from dfud.logs.in_progress_table import write_in_progress_table
from dfud.logs.layout import LogsFolder
from dfud.logs.table_files import RejectedRow, read_lines, save_rejected_rows


class OpenMSIState(NamedTuple):
    """What OpenMSIStream's tables say, and what is there now."""

    in_progress: str | None  # path of its in-progress table, if there is one
    completed: list[str]  # paths of its completed tables
    left: list[InProgressRow]  # what is to be finished
    finished: list[CompletedRow]  # what is not to be sent again
    changed: int  # files that it finished and that are others now, or gone
    notes: list[str]  # for the user, on single files
    bad: list[RejectedRow]
    since_ns: int | None  # its run did not end in an orderly way, and had begun by then

    def summary(self) -> str:
        """Return a line for the user."""
        return (
            f"OpenMSIStream's tables are taken over, and kept as .bak: {len(self.finished)} files are finished, "
            f"{len(self.left)} were left and are finished now, {self.changed} have changed since or are gone"
        )


def find_openmsistream_tables(folder: LogsFolder) -> tuple[str | None, list[str]]:
    """Return the paths of its in-progress table, if there is one, and of its completed tables; OSError."""
    in_progress = folder.in_progress if _is_openmsistream(folder.in_progress) else None
    return in_progress, [path for path in folder.openmsistream_tables() if _is_openmsistream(path)]


def read_openmsistream(
    folder: LogsFolder, directory: str, chunk_size: int, keep_chunks: bool
) -> OpenMSIState | None:
    """Read OpenMSIStream's tables, if there are any; OSError if they can't be read.

    With `keep_chunks` false, all chunks of what it left are to be sent: those that it has sent are of no use to
    a reader of our messages.
    """
    in_progress, completed = find_openmsistream_tables(folder)
    if in_progress is None and not completed:
        return None
    bad: list[RejectedRow] = []
    notes: list[str] = []
    lefts: list[OpenMSIInProgressRow] = []
    for row in read_openmsi_in_progress(read_lines(in_progress)) if in_progress else ():
        if isinstance(row, BadRow):
            bad.append(RejectedRow(folder.in_progress, row))
        else:
            lefts.append(row)
    latest: dict[str, OpenMSICompletedRow] = {}
    for path in completed:
        for entry in read_openmsi_completed(read_lines(path)):
            if isinstance(entry, BadRow):
                bad.append(RejectedRow(path, entry))
            elif entry.rel_filepath not in latest or latest[entry.rel_filepath].completed < entry.completed:
                latest[entry.rel_filepath] = entry

    def present(rel_filepath: str) -> FileVersion | None:
        return _present(os.fsencode(directory), os.fsencode(rel_filepath))

    finished = [row for row in (_finished(entry, present, chunk_size) for entry in latest.values()) if row]
    # It records a file as completed, then strikes it off the other table: killed in between, it has it in both.
    done = {row.rel_filepath for row in finished}
    lefts = [entry for entry in lefts if entry.rel_filepath not in done]
    left = [row for row in (_left(entry, present, chunk_size, keep_chunks, notes) for entry in lefts) if row]
    since_ns = min((int(entry.started.timestamp()) for entry in lefts), default=None)
    return OpenMSIState(
        in_progress,
        completed,
        left,
        finished,
        len(latest) - len(finished),
        notes,
        bad,
        None if since_ns is None else since_ns * 1_000_000_000,
    )


def import_openmsistream(folder: LogsFolder, found: OpenMSIState) -> None:
    """Write what was found as our own tables; OSError leaves something to be taken over the next time."""
    originals = found.completed + ([found.in_progress] if found.in_progress else [])
    for path in originals:
        _keep(path)
    save_rejected_rows(found.bad)
    if found.finished:
        text = format_table(CompletedRow, found.finished)
        # As a shard, which is then consolidated as any other: twice the same row becomes one.
        replace_file(folder.shard(0, folder.next_sequence()), [text.encode("utf-8", "surrogateescape")])
    if found.in_progress:
        write_in_progress_table(folder, found.left)
    for path in found.completed:  # the last: what is finished also tells what is not left
        os.unlink(path)
    sync_folder(folder.path)


def _is_openmsistream(path: str) -> bool:
    with contextlib.suppress(FileNotFoundError):
        return is_openmsistream(_first_lines(path))
    return False


def _first_lines(path: str) -> Iterable[str]:
    with open(path, encoding="utf-8-sig", errors="surrogateescape") as file:
        return [file.readline(1000) for _ in range(3)]


def _present(directory: bytes, path: bytes) -> FileVersion | None:
    try:
        found = os.stat(os.path.join(directory, path))
    except (OSError, ValueError):
        return None
    return FileVersion(path, found.st_size, found.st_mtime_ns)


def _finished(
    entry: OpenMSICompletedRow, present: Callable[[str], FileVersion | None], chunk_size: int
) -> CompletedRow | None:
    """Return the row of a file that is what OpenMSIStream has sent, as far as time and size can tell."""
    version = present(entry.rel_filepath)
    if version is None or _is_later(version.mtime_ns, entry.completed):
        return None
    used = find_chunk_size(version.size, entry.n_chunks, chunk_size)
    if used is None:
        return None
    return CompletedRow(
        entry.rel_filepath,
        version.size,
        version.mtime_ns,
        entry.n_chunks,
        used,
        NO_DIGEST,
        _iso(entry.started),
        _iso(entry.completed),
    )


def _left(
    entry: OpenMSIInProgressRow,
    present: Callable[[str], FileVersion | None],
    chunk_size: int,
    keep_chunks: bool,
    notes: list[str],
) -> InProgressRow | None:
    version = present(entry.rel_filepath)
    name = printable(os.fsencode(entry.rel_filepath))
    if version is None:
        notes.append(f"{name} was uploaded in part by OpenMSIStream and can't be found any more: it is left out")
        return None
    delivered = entry.delivered
    if not keep_chunks:
        notes.append(f"{name} was begun in OpenMSIStream's messages: it is uploaded as a whole in dfud's own")
        delivered = RangeSet()
    elif count_chunks(version.size, chunk_size) != entry.n_chunks:
        notes.append(f"{name} has other chunks now than OpenMSIStream has sent: it is uploaded as a whole")
        delivered = RangeSet()
    elif _is_later(version.mtime_ns, entry.started):
        notes.append(f"{name} has changed since OpenMSIStream began it: it is uploaded as a whole")
        delivered = RangeSet()
    return in_progress_row(version, chunk_size, delivered, _iso(entry.started))


def _is_later(mtime_ns: int, moment: datetime) -> bool:
    """Tell whether a file has changed after `moment`, which is a whole second, rounded down."""
    return mtime_ns // 1_000_000_000 > int(moment.timestamp())


def _iso(moment: datetime) -> str:
    return moment.astimezone().isoformat(timespec="milliseconds")


def _keep(path: str) -> None:
    """Copy a table to a name that ends in ``.bak``, or ``.bak2`` and so on if another one has that."""
    with open(path, "rb") as file:
        content = file.read()
    number = 1
    while True:
        backup = f"{path}.bak{number if number > 1 else ''}"
        try:
            with open(backup, "rb") as file:
                if file.read() == content:
                    return
        except FileNotFoundError:
            replace_file(backup, [content])
            shutil.copystat(path, backup)
            return
        number += 1
