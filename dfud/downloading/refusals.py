"""Messages and versions of files that cannot be used."""

from __future__ import annotations

import logging

from dfud.core.text import printable
from dfud.downloading.counts import DownloadCounts
from dfud.downloading.supervisor_link import Report

_MAX_NAMED = 100  # of each kind, in one run; what follows is only counted
_MAX_VERSIONS = 10_000  # that are remembered


class LimitedReport:
    """Reports the first lines of one kind: a topic may hold any number of what they are about."""

    def __init__(self, report: Report, what: str) -> None:
        """Say after the first lines that further of `what` are only counted."""
        self._report = report
        self._what = what
        self._named = 0

    def __call__(self, level: int, text: str, file: bytes = b"", cause: str = "") -> None:
        """Report a line, unless there were too many."""
        self._named += 1
        if self._named <= _MAX_NAMED:
            self._report(level, text, file, cause)
        if self._named == _MAX_NAMED:
            self._report(logging.WARNING, f"further {self._what} are only counted")


class Refusals:
    """Responsible for counting what is refused, and for naming the first of it with the reason."""

    def __init__(self, counts: DownloadCounts, report: Report) -> None:
        self._counts = counts
        self._report = LimitedReport(report, "refused messages")
        self._versions: dict[bytes, None] = {}  # identities

    def refuse(self, path: bytes | None, reason: str) -> None:
        """Refuse one message; `path` is its key if no more is known of it."""
        self._counts.refused += 1
        name = printable(path or b"a message without a key")
        self._report(logging.WARNING, f"{name} refused: {reason}", path or b"", reason)

    def refuse_version(self, identity: bytes, path: bytes, reason: str) -> None:
        """Refuse a message, and all that follow of the same version."""
        self.refuse(path, reason)
        if len(self._versions) >= _MAX_VERSIONS:
            self._versions.clear()
        self._versions[identity] = None

    def is_refused(self, identity: bytes) -> bool:
        """Return whether the messages of a version are refused."""
        return identity in self._versions
