"""systemd's journal, which takes the priority of a line from its beginning; see sd-daemon(3)."""

from __future__ import annotations

import logging
import os

_CRITICAL, _ERROR, _WARNING, _INFO, _DEBUG = 2, 3, 4, 6, 7  # of syslog(3)


def is_journal(descriptor: int) -> bool:
    """Return whether what is written to `descriptor` goes to the journal, as systemd says in the environment."""
    try:
        status = os.fstat(descriptor)
    except OSError:
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"


def with_priority(text: str, level: int) -> str:
    """Put the priority that corresponds to a level of `logging` before each line.

    >>> with_priority("cannot read file", logging.ERROR)
    '<3>cannot read file'
    """
    return "\n".join(f"<{_priority(level)}>{line}" for line in text.split("\n"))


def _priority(level: int) -> int:
    if level >= logging.CRITICAL:
        return _CRITICAL
    if level >= logging.ERROR:
        return _ERROR
    if level >= logging.WARNING:
        return _WARNING
    return _INFO if level >= logging.INFO else _DEBUG
