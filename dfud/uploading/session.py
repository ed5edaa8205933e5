"""The beginning and the end of a run, as far as the next run must know about them."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import NamedTuple

from dfud.logs.layout import LogsFolder
from dfud.logs.run_record import EVERYTHING
from dfud.logs.session import Session
from dfud.watch.file_systems import keeps_ctime

_COMPARE_ALL = 1  # ns since 1970: before all files, and not the 0 that means that the time is unknown


class Scope(NamedTuple):
    """Which of the files that are there at the start are to be uploaded, and which compared."""

    everything: bool
    since_ns: int  # otherwise those that have changed since then (ns since 1970, by the file system's clock)
    missed: tuple[int, int] = (0, 0)  # and those that changed in this time, which ended before `since_ns`
    compare_since_ns: int = (
        0  # a recorded file that changed later may have other content of the same size and mtime
    )


def begin_session(
    session: Session,
    take_all: bool,
    log: logging.Logger,
    file_system: str = "",
    newest_table_ns: int | None = None,
) -> Scope:
    """Record that a run begins; return its scope: all that is there if `take_all`, or what the last run missed.

    `file_system` is the type of that of the directory, `newest_table_ns` when a completed table was last written
    (None if there is none).
    """
    unfinished, missed, compare_since_ns = session.unfinished_since(), session.missed, session.compare_since_ns
    try:
        since_ns = session.now_ns()
        if not compare_since_ns:  # no run has ended since dfud records that: its tables show that it ran
            compare_since_ns = since_ns if newest_table_ns is None else newest_table_ns
        if unfinished is not None:
            log.info("the last run was interrupted, or left files: looking for what has changed since it began")
            if unfinished > since_ns:
                log.warning("the clock has been set back since then: checking all files")
                unfinished, compare_since_ns = EVERYTHING, _COMPARE_ALL
            elif not keeps_ctime(file_system):
                log.warning(f"the file system {file_system} does not keep times of change: checking all files")
                unfinished = EVERYTHING
            since_ns = min(since_ns, unfinished)
        elif compare_since_ns > since_ns:
            log.warning("the clock has been set back since the last run: comparing all files")
            compare_since_ns = _COMPARE_ALL
        session.begin(EVERYTHING if take_all else since_ns, compare_since_ns)
    except OSError as error:
        log.error(f"cannot write the lock file: {error}; uploading continues")
        since_ns = EVERYTHING if unfinished is None else unfinished
    return Scope(take_all or since_ns == EVERYTHING, since_ns, missed, compare_since_ns)


def newest_table_ns(folder: LogsFolder) -> int | None:
    """Return when a completed table was last written (ns since 1970), or None if there is none."""
    try:
        tables = [folder.stat(path) for path in (*folder.shards(), folder.completed)]
        return max((status.st_mtime_ns for status in tables if status is not None), default=None)
    except OSError:  # whoever reads the tables will say so
        return None


def record(log: logging.Logger, write: Callable[[], None]) -> bool:
    """Write the record of the session by `write`; return whether that worked, and log why it did not."""
    try:
        write()
    except OSError as error:
        log.error(f"cannot write the lock file: {error}; uploading continues")
        return False
    return True


def end_session(session: Session, left_over_since_ns: int | None, log: logging.Logger) -> None:
    """Record an orderly end, but for files that changed since `left_over_since_ns`, if any."""
    try:
        if left_over_since_ns is None:
            session.end()
        else:
            session.begin(left_over_since_ns)
    except OSError as error:
        log.error(f"cannot write the lock file: {error}")
