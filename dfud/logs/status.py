"""The state of the uploads of a directory, from LOGS alone: no broker is contacted, and nothing is written."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple

from dfud.core.tables import read_completed
from dfud.logs.in_progress_table import read_in_progress_table
from dfud.logs.layout import LogsFolder
from dfud.logs.session import RunState, last_run
from dfud.logs.table_files import RejectedRow, accepted_rows, read_lines
from dfud.logs.takeover import find_openmsistream_tables


class InProgressTotals(NamedTuple):
    """The files that were detected and are not yet completely acknowledged."""

    files: int
    size: int  # bytes of all of them
    chunks: int
    chunks_to_send: int


class CompletedTotals(NamedTuple):
    """The files that are completely on the topic; each version of a file counts."""

    files: int
    size: int  # bytes of all of them
    last: str | None  # when the last one was completed, ISO 8601


class TopicStatus(NamedTuple):
    """The state of the uploads to one topic."""

    topic: str
    run: RunState
    in_progress: InProgressTotals
    completed: CompletedTotals
    bad_rows: list[RejectedRow]
    to_import: list[str]  # paths of OpenMSIStream's tables, whose rows are not counted


def topic_status(folder: LogsFolder) -> TopicStatus:
    """Read what LOGS has of a topic; OSError if a table cannot be read.

    A file that is completed meanwhile is counted at least once, because the in-progress table is read first.
    Shards are read before the completed table, because an uploader that merges them replaces that table before it
    removes them.
    """
    run = last_run(folder, folder.lock)
    theirs_in_progress, theirs = find_openmsistream_tables(folder)
    rows, bad = ([], []) if theirs_in_progress else read_in_progress_table(folder)
    in_progress = InProgressTotals(
        len(rows),
        sum(row.size for row in rows),
        sum(row.n_chunks for row in rows),
        sum(row.n_chunks_to_send for row in rows),
    )
    tables = [path for path in (*folder.shards(), folder.completed) if path not in theirs]
    completed = _completed(folder, tables, bad)
    theirs = [theirs_in_progress, *theirs] if theirs_in_progress else theirs
    return TopicStatus(folder.topic, run, in_progress, completed, bad, theirs)


def _completed(folder: LogsFolder, tables: list[str], bad: list[RejectedRow]) -> CompletedTotals:
    """Read the completed tables; rows that cannot be understood are added to `bad`."""
    seen: set[int] = set()  # 64-bit hashes: a row that is in two tables counts once
    latest: dict[str, str] = {}  # by UTC offset: times of the same offset sort like their texts
    size = 0
    for table in tables:
        for row in accepted_rows(read_completed(_lines_if_present(folder, table)), table, bad):
            version = hash((row.rel_filepath, row.size, row.mtime_ns))
            if version in seen:
                continue
            seen.add(version)
            size += row.size
            offset = row.completed[-6:]
            if row.completed > latest.get(offset, ""):
                latest[offset] = row.completed
    last = max(latest.values(), key=_timestamp, default="")
    return CompletedTotals(len(seen), size, last if _timestamp(last) else None)


def _lines_if_present(folder: LogsFolder, table: str) -> Iterator[str]:
    with contextlib.suppress(FileNotFoundError):  # merged meanwhile, or not written yet
        yield from read_lines(folder, table)


def _timestamp(text: str) -> float:
    """Return an ISO 8601 time as seconds since 1970; 0 for anything else."""
    try:
        return datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError, OSError):
        return 0.0
