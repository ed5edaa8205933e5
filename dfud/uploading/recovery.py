"""What earlier runs, and OpenMSIStream, left in LOGS: read, imported and merged before a run begins."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import NamedTuple

from dfud.core.tables import InProgressRow, version_of
from dfud.core.version import FileVersion
from dfud.errors import UsageError
from dfud.logs.completed.consolidation import consolidate
from dfud.logs.completed.merging import parse_time
from dfud.logs.completed.recorded import RecordedVersions
from dfud.logs.in_progress_table import read_in_progress_table
from dfud.logs.layout import LogsFolder
from dfud.logs.session import Session
from dfud.logs.table_files import RejectedRow, save_rejected_rows
from dfud.logs.takeover import import_openmsistream, read_openmsistream
from dfud.logs.times import ForwardClock
from dfud.logs.unproven_table import read_unproven_table
from dfud.uploading.in_progress_writer import write_tables
from dfud.uploading.ledger import Ledger

_MIN_TOLD_S = 1.0  # by which the clock was set back; less than that is a clock's correction


class InProgress(NamedTuple):
    """What the in-progress table of an earlier run says, and that of unproven versions."""

    rows: list[InProgressRow]
    unproven: list[tuple[FileVersion, str]]
    rejected: list[RejectedRow]


def import_openmsistream_tables(
    folder: LogsFolder, chunk_size: int, keep_chunks: bool, session: Session, log: logging.Logger
) -> None:
    """Turn the tables that OpenMSIStream may have left into ours; `keep_chunks` if it sent the same messages.

    Raises UsageError if they cannot be read or replaced.
    """
    try:
        state = read_openmsistream(folder, folder.directory, chunk_size, keep_chunks)
        if state is None:
            return
        if state.since_ns is not None:
            earlier = session.unfinished_since()
            session.begin(state.since_ns if earlier is None else min(earlier, state.since_ns))
        import_openmsistream(folder, state)
    except OSError as error:
        raise UsageError(f"cannot import OpenMSIStream's tables in {folder.path}: {error}") from None
    log.info(state.summary())
    for warning in state.warnings:
        log.warning(warning)
    _report_rejected(state.rejected, log)


def read_in_progress(folder: LogsFolder, log: logging.Logger) -> InProgress:
    """Read the in-progress table, and that of unproven versions; UsageError if that is not possible."""
    path = folder.in_progress
    try:
        rows, rejected = read_in_progress_table(folder)
        path = folder.unproven
        unproven = read_unproven_table(folder, rejected)
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from None
    _report_rejected(rejected, log)
    return InProgress(rows, unproven, rejected)


class Recorded(NamedTuple):
    """What the completed tables of earlier runs say."""

    versions: RecordedVersions
    latest: float  # the latest time in them (s since 1970); minus infinity if there is none


def merge_completed(
    folder: LogsFolder, shards: list[str], unproven: list[tuple[FileVersion, str]], log: logging.Logger
) -> Recorded:
    """Merge `shards` into the completed table, and return what it says; UsageError if it cannot be read.

    What `unproven` versions of earlier runs may have replaced on the topic does not count.
    """
    try:
        merged = consolidate(folder, shards, unproven)
    except OSError as error:
        raise UsageError(f"cannot read the completed tables in {folder.path}: {error}") from None
    if merged.error is not None:
        log.error(f"cannot write {folder.completed}: {merged.error}; uploading continues")
    _report_rejected(merged.rejected, log)
    latest = max((parse_time(since) for _, since in unproven), default=merged.latest)
    return Recorded(merged.completed, max(latest, merged.latest))


def distrust(recorded: RecordedVersions, in_progress: Iterable[InProgressRow], now: Callable[[], str]) -> None:
    """Forget what is replaced by what is `in_progress`: it may be on the topic although no table says so."""
    for row in in_progress:
        recorded.distrust(version_of(row), now())


def go_on_from(latest: float, clock: ForwardClock, log: logging.Logger) -> None:
    """Let `clock` go on from the time of what was uploaded last (s since 1970), if the machine's was set back."""
    if latest == float("-inf"):
        return
    clock.go_on_from(int(latest * 1e6 + 1) * 1000)
    ahead_s = clock.ahead_ns / 1e9
    if ahead_s >= _MIN_TOLD_S:
        log.warning(
            f"the clock is {ahead_s:,.0f} s behind the time of the last upload: the messages' timestamps go on "
            "from there, as readers tell by them what was sent last"
        )


def write_first_table(
    folder: LogsFolder, ledger: Ledger, rejected: list[RejectedRow], log: logging.Logger
) -> None:
    """Save the `rejected` rows elsewhere, then replace the in-progress table for the first time."""
    try:
        save_rejected_rows(folder, rejected)
        write_tables(folder, ledger)
    except OSError as error:
        log.error(f"cannot write {folder.in_progress}: {error}; uploading continues")


def _report_rejected(rejected: Iterable[RejectedRow], log: logging.Logger) -> None:
    for path, row in rejected:
        log.warning(f"row {row.number} of {path} is malformed: {row.reason}; it is kept in {path}.bad")
