"""The beginning and the end of a run, as far as the next run must know about them."""

from __future__ import annotations

import logging
from typing import NamedTuple

from dfud.logs.session import EVERYTHING, Session


class Scope(NamedTuple):
    """Which of the files that are there at the start are to be uploaded."""

    everything: bool
    since_ns: int  # otherwise those that have changed since then (ns since 1970, by the file system's clock)


def begin_session(session: Session, take_all: bool, log: logging.Logger) -> Scope:
    """Record that a run begins; return its scope: all that is there if `take_all`, or what the last run missed."""
    unfinished = session.unfinished_since()
    try:
        since_ns = session.now_ns()
        if unfinished is not None:
            log.warning("the last run did not end properly: checking what has changed since it began, too")
            if unfinished > since_ns:
                log.warning("the clock has been set back since then: checking all files")
                unfinished = EVERYTHING
            since_ns = min(since_ns, unfinished)
        session.begin(EVERYTHING if take_all else since_ns)
    except OSError as error:
        log.error(f"cannot write the lock file: {error}; uploading continues")
        since_ns = EVERYTHING if unfinished is None else unfinished
    return Scope(take_all or since_ns == EVERYTHING, since_ns)


def end_session(session: Session, left_over_since_ns: int | None, log: logging.Logger) -> None:
    """Record that a run has ended properly, but for files that changed since `left_over_since_ns`, if any."""
    try:
        if left_over_since_ns is None:
            session.end()
        else:
            session.begin(left_over_since_ns)
    except OSError as error:
        log.error(f"cannot write the lock file: {error}")
