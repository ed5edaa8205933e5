"""Importing the tables that OpenMSIStream left in LOGS.

They have the same names as ours, and are identified by their first line. Their usable rows are written as tables
of our own; the originals are kept beside as ``.bak``. Every step can be repeated, so that a crash between two of
them is harmless.
"""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import NamedTuple

from dfud.core.chunking import count_chunks, find_chunk_size
from dfud.core.names import leads_outside
from dfud.core.openmsistream_tables import (
    OpenMSICompletedRow,
    OpenMSIInProgressRow,
    is_openmsistream,
    read_openmsi_completed,
    read_openmsi_in_progress,
)
from dfud.core.ranges import RangeSet
from dfud.core.tables import NO_DIGEST, CompletedRow, InProgressRow, format_table, in_progress_row
from dfud.core.text import counted, printable
from dfud.core.version import FileVersion
from dfud.files.openat import DEFAULT_LINKS, look
from dfud.logs.in_progress_table import write_in_progress_table
from dfud.logs.layout import LogsFolder
from dfud.logs.table_files import RejectedRow, accepted_rows, read_lines, save_rejected_rows


class OpenMSIState(NamedTuple):
    """What OpenMSIStream's tables record, compared with the files that exist now."""

    in_progress_table: str | None  # its path, if there is one
    completed_tables: list[str]  # their paths
    in_progress: list[InProgressRow]  # files still to be completed
    completed: list[CompletedRow]  # files not to be sent again
    n_changed: int  # files that it completed and that have changed since, or no longer exist
    warnings: list[str]  # for the user, about single files
    rejected: list[RejectedRow]
    since_ns: int | None  # a time by which its run had begun, if that did not end cleanly

    def summary(self) -> str:
        """Return a line for the log."""
        return (
            "imported OpenMSIStream's tables, originals kept as .bak: "
            f"{counted(len(self.completed), 'file')} completed, {len(self.in_progress)} in progress, "
            f"{self.n_changed} changed since or gone"
        )


def find_openmsistream_tables(folder: LogsFolder) -> tuple[str | None, list[str]]:
    """Return the path of its in-progress table, if there is one, and those of its completed tables.

    Raises OSError if a table cannot be read.
    """
    in_progress = folder.in_progress if _is_openmsistream(folder, folder.in_progress) else None
    return in_progress, [path for path in folder.openmsistream_tables() if _is_openmsistream(folder, path)]


def read_openmsistream(
    folder: LogsFolder, directory: str, chunk_size: int, keep_chunks: bool
) -> OpenMSIState | None:
    """Read OpenMSIStream's tables, if there are any; OSError if they cannot be read.

    If `keep_chunks` is false, all chunks of the files in progress are to be sent, because a reader of our messages
    cannot use those that OpenMSIStream sent.
    """
    in_progress_table, completed_tables = find_openmsistream_tables(folder)
    if in_progress_table is None and not completed_tables:
        return None
    rejected: list[RejectedRow] = []
    warnings: list[str] = []
    unfinished: list[OpenMSIInProgressRow] = []
    if in_progress_table:
        rows = read_openmsi_in_progress(read_lines(folder, in_progress_table))
        unfinished = list(accepted_rows(rows, in_progress_table, rejected))
    latest: dict[str, OpenMSICompletedRow] = {}
    for path in completed_tables:
        for row in accepted_rows(read_openmsi_completed(read_lines(folder, path)), path, rejected):
            if row.rel_filepath not in latest or latest[row.rel_filepath].completed < row.completed:
                latest[row.rel_filepath] = row

    dir_fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def find_version(rel_filepath: str) -> FileVersion | None:
        return _find_version(dir_fd, os.fsencode(rel_filepath))

    completed = [
        row for row in (_completed_row(each, find_version, chunk_size) for each in latest.values()) if row
    ]
    # It records a file as completed before it removes it from the other table: after a kill, it may be in both.
    done = {row.rel_filepath for row in completed}
    unfinished = [row for row in unfinished if row.rel_filepath not in done]
    in_progress = [
        row
        for row in (_in_progress_row(each, find_version, chunk_size, keep_chunks, warnings) for each in unfinished)
        if row
    ]
    os.close(dir_fd)
    since_ns = min((int(row.started.timestamp()) for row in unfinished), default=None)
    return OpenMSIState(
        in_progress_table,
        completed_tables,
        in_progress,
        completed,
        len(latest) - len(completed),
        warnings,
        rejected,
        None if since_ns is None else since_ns * 1_000_000_000,
    )


def import_openmsistream(folder: LogsFolder, state: OpenMSIState) -> None:
    """Write `state` as our own tables; after an OSError the next run imports the rest."""
    originals = state.completed_tables + ([state.in_progress_table] if state.in_progress_table else [])
    for path in originals:
        _back_up(folder, path)
    save_rejected_rows(folder, state.rejected)
    if state.completed:
        text = format_table(CompletedRow, state.completed)
        # As a shard, which is then merged like any other: a row that is written twice becomes one.
        folder.replace(folder.shard(0, folder.next_sequence()), [text.encode("utf-8", "surrogateescape")])
    if state.in_progress_table:
        write_in_progress_table(folder, state.in_progress)
    for path in state.completed_tables:  # last, because they also show which files are no longer in progress
        folder.unlink(path)
    folder.sync()


def _is_openmsistream(folder: LogsFolder, path: str) -> bool:
    with contextlib.suppress(FileNotFoundError):
        return is_openmsistream(_first_lines(folder, path))
    return False


def _first_lines(folder: LogsFolder, path: str) -> Iterable[str]:
    with io.TextIOWrapper(folder.open_to_read(path), encoding="utf-8-sig", errors="surrogateescape") as lines:
        return [lines.readline(1000) for _ in range(3)]


def _find_version(dir_fd: int, path: bytes) -> FileVersion | None:
    """Return the present version of a file, or None if it cannot be accessed or lies outside."""
    if leads_outside(path):
        return None
    try:
        status = look(dir_fd, path, DEFAULT_LINKS)
    except (OSError, ValueError):
        return None
    return FileVersion(path, status.st_size, status.st_mtime_ns)


def _completed_row(
    entry: OpenMSICompletedRow, find_version: Callable[[str], FileVersion | None], chunk_size: int
) -> CompletedRow | None:
    """Return the row of a file if it is still the one that OpenMSIStream sent, as far as time and size show."""
    version = find_version(entry.rel_filepath)
    if version is None or _changed_after(version.mtime_ns, entry.completed):
        return None
    used_chunk_size = find_chunk_size(version.size, entry.n_chunks, chunk_size)
    if used_chunk_size is None:
        return None
    return CompletedRow(
        entry.rel_filepath,
        version.size,
        version.mtime_ns,
        entry.n_chunks,
        used_chunk_size,
        NO_DIGEST,
        _iso(entry.started),
        _iso(entry.completed),
    )


def _in_progress_row(
    entry: OpenMSIInProgressRow,
    find_version: Callable[[str], FileVersion | None],
    chunk_size: int,
    keep_chunks: bool,
    warnings: list[str],
) -> InProgressRow | None:
    """Return the row of a file that OpenMSIStream did not complete, or None if it no longer exists.

    The chunks that it sent are kept only if they are chunks of the present version; `warnings` says why not.
    """
    version = find_version(entry.rel_filepath)
    name = printable(os.fsencode(entry.rel_filepath))
    if version is None:
        warnings.append(f"{name} was partly uploaded by OpenMSIStream and no longer exists: skipped")
        return None
    delivered = entry.delivered
    if not keep_chunks:
        warnings.append(f"{name} was begun in OpenMSIStream's message format: all of it is uploaded in dfud's own")
        delivered = RangeSet()
    elif count_chunks(version.size, chunk_size) != entry.n_chunks:
        theirs = find_chunk_size(version.size, entry.n_chunks, chunk_size)
        of_size = f" of {theirs} bytes" if theirs else ""
        warnings.append(
            f"{name} was begun by OpenMSIStream in {counted(entry.n_chunks, 'chunk')}{of_size}, and "
            f"--chunk_size is {chunk_size}: all of it is uploaded"
        )
        delivered = RangeSet()
    elif _changed_after(version.mtime_ns, entry.started):
        warnings.append(f"{name} has changed since OpenMSIStream began it: all of it is uploaded")
        delivered = RangeSet()
    return in_progress_row(version, chunk_size, delivered, _iso(entry.started))


def _changed_after(mtime_ns: int, moment: datetime) -> bool:
    """Return whether a file changed after `moment`, which was rounded down to a second."""
    return mtime_ns // 1_000_000_000 > int(moment.timestamp())


def _iso(moment: datetime) -> str:
    return moment.astimezone().isoformat(timespec="milliseconds")


def _back_up(folder: LogsFolder, path: str) -> None:
    """Copy a table to a name that ends in ``.bak``, or ``.bak2`` and so on if that is another copy."""
    with folder.open_to_read(path) as file:
        content, status = file.read(), os.fstat(file.fileno())
    number = 1
    while True:
        backup = f"{path}.bak{number if number > 1 else ''}"
        try:
            with folder.open_to_read(backup) as file:
                if file.read(len(content) + 1) == content:
                    return
        except FileNotFoundError:
            folder.replace(backup, [content])
            folder.set_times(backup, status)
            return
        number += 1
