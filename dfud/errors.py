"""The errors that a user sees, each with the exit status of the program.

A message says what happened, to which file or setting, and what to do about it. Only ``dfud.commands.main`` turns
these classes into exit statuses; nothing else calls ``sys.exit``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn

EXIT_OK = 0
EXIT_UNDELIVERED = 1
EXIT_USAGE = 2
EXIT_LOCKED = 75  # EX_TEMPFAIL of sysexits.h: try again later


class DfudError(Exception):
    """An error that a user can act on; its text is shown without a traceback."""

    exit_status = EXIT_UNDELIVERED


class UsageError(DfudError):
    """An option, a path or a setting is wrong; nothing was started and nothing was written."""

    exit_status = EXIT_USAGE


class LockedError(DfudError):
    """Another instance is already uploading this directory to this topic."""

    exit_status = EXIT_LOCKED


class StoppedError(DfudError):
    """A signal ended the program before any file was detected."""


class WorkerError(DfudError):
    """A worker process died repeatedly; its files stay in the in-progress table."""


class BrokerError(DfudError):
    """The embedded Kafka could not be resolved, started or stopped."""


OnFault = Callable[[str], None]  # is called with each thing that a user has to change, and what to do about it


def refuse_fault(text: str) -> NoReturn:
    """Raise UsageError: what most programs do with the first fault."""
    raise UsageError(text)
