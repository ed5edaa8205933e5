"""The state of the uploads of a directory, from LOGS alone: no broker is contacted, and nothing is written."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import NamedTuple

from dfud.core.tables import CompletedRow, InProgressRow, read_completed
from dfud.logs.in_progress_table import read_in_progress_table
from dfud.logs.layout import LogsFolder
from dfud.logs.session import RunState, last_run
from dfud.logs.table_files import RejectedRow, accepted_rows, read_lines
from dfud.logs.takeover import find_openmsistream_tables
from dfud.logs.upload_status import UploadStatus, read_status

Observer = Callable[[CompletedRow], None]


class InProgressTotals(NamedTuple):
    """The files that were detected and are not yet completely acknowledged."""

    files: int
    versions: int
    size: int  # bytes of all versions
    chunks: int
    chunks_to_send: int


class CompletedTotals(NamedTuple):
    """The files that are completely on the topic, and of which no other version is in progress."""

    files: int
    versions: int  # that are completely on the topic, of whatever file
    size: int  # bytes of all versions
    last: str | None  # when the last one was completed, ISO 8601


class RunReport(NamedTuple):
    """The state of the last run, by its lock, and what it says itself.

    While it runs, its file may for a moment still be that of the run before, or already say that it has ended.
    """

    run: RunState
    status: UploadStatus | None  # None if there is no status file, or if it cannot be read
    trouble: str = ""  # why it cannot be read


class TopicStatus(NamedTuple):
    """The state of the uploads to one topic."""

    topic: str
    report: RunReport
    in_progress: InProgressTotals
    completed: CompletedTotals
    bad_rows: list[RejectedRow]
    to_import: list[str]  # paths of OpenMSIStream's tables, whose rows are not counted
    unfinished: list[InProgressRow]  # a row for each version that is in progress


def run_report(folder: LogsFolder) -> RunReport:
    """Read what the last run says, and whether it still runs; OSError if its lock file cannot be read."""
    run = last_run(folder, folder.lock)
    status, trouble = _status(folder)
    after = last_run(folder, folder.lock)
    if after is not run:  # it has ended meanwhile, and said so
        run, (status, trouble) = after, _status(folder)
    return RunReport(run, status, trouble)


def _status(folder: LogsFolder) -> tuple[UploadStatus | None, str]:
    """Return the status, or why it cannot be read."""
    try:
        return read_status(folder), ""
    except OSError as error:
        return None, error.strerror or str(error)
    except ValueError as error:
        return None, f"it is damaged, or of another version ({error})"


def topic_status(folder: LogsFolder, observe: Observer = lambda row: None) -> TopicStatus:
    """Read what LOGS has of a topic, and show each completed version to `observe`.

    Raises OSError if a table cannot be read.

    A file that is completed meanwhile is found at least once, because the in-progress table is read first; its row
    there counts no more if it has a completed row of the same start. Shards are read before the completed table,
    because an uploader that merges them replaces that table before it removes them.
    """
    report = run_report(folder)
    theirs_in_progress, theirs = find_openmsistream_tables(folder)
    rows, bad = ([], []) if theirs_in_progress else read_in_progress_table(folder)
    unfinished = {(row.rel_filepath, row.size, row.mtime_ns, row.started): row for row in rows}
    tables = [path for path in (*folder.shards(), folder.completed) if path not in theirs]
    completed = _completed(folder, tables, unfinished, bad, observe)
    versions = list({upload[:3]: row for upload, row in unfinished.items()}.values())
    in_progress = InProgressTotals(
        len({row.rel_filepath for row in versions}),
        len(versions),
        sum(row.size for row in versions),
        sum(row.n_chunks for row in versions),
        sum(row.n_chunks_to_send for row in versions),
    )
    theirs = [theirs_in_progress, *theirs] if theirs_in_progress else theirs
    return TopicStatus(folder.topic, report, in_progress, completed, bad, theirs, versions)


def _completed(
    folder: LogsFolder,
    tables: list[str],
    unfinished: dict[tuple[str, int, int, str], InProgressRow],
    bad: list[RejectedRow],
    observe: Observer,
) -> CompletedTotals:
    """Read the completed tables.

    Rows that cannot be understood are added to `bad`; what was completed meanwhile is removed from `unfinished`.
    """
    seen: set[int] = set()  # 64-bit hashes: a row that is in two tables counts once
    paths: set[int] = set()  # likewise
    latest: dict[str, str] = {}  # by UTC offset: times of the same offset sort like their texts
    size = 0
    for table in tables:
        for row in accepted_rows(read_completed(_lines_if_present(folder, table)), table, bad):
            if unfinished:
                unfinished.pop((row.rel_filepath, row.size, row.mtime_ns, row.started), None)
            key = hash((row.rel_filepath, row.size, row.mtime_ns))
            if key in seen:
                continue
            seen.add(key)
            paths.add(hash(row.rel_filepath))
            size += row.size
            observe(row)
            offset = row.completed[-6:]
            if row.completed > latest.get(offset, ""):
                latest[offset] = row.completed
    paths.difference_update([hash(row.rel_filepath) for row in unfinished.values()])
    last = max(latest.values(), key=_timestamp, default="")
    return CompletedTotals(len(paths), len(seen), size, last if _timestamp(last) else None)


def _lines_if_present(folder: LogsFolder, table: str) -> Iterator[str]:
    with contextlib.suppress(FileNotFoundError):  # merged meanwhile, or not written yet
        yield from read_lines(folder, table)


def _timestamp(text: str) -> float:
    """Return an ISO 8601 time as seconds since 1970; 0 for anything else."""
    try:
        return datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError, OSError):
        return 0.0
