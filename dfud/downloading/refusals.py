"""Messages and versions of files that cannot be used."""

from __future__ import annotations

import logging
from collections.abc import Callable

from dfud.core.text import printable
from dfud.downloading.counts import DownloadCounts

_MAX_NAMED = 100  # in one run; what follows is only counted
_MAX_VERSIONS = 10_000  # that are remembered


class Refusals:
    """Responsible for counting what is refused, and for naming the first of it with the reason."""

    def __init__(self, counts: DownloadCounts, report: Callable[[int, str], None]) -> None:
        self._counts = counts
        self._report = report
        self._named = 0
        self._versions: dict[bytes, None] = {}  # identities

    def refuse(self, path: bytes | None, reason: str) -> None:
        """Refuse one message; `path` is its key if no more is known of it."""
        self._counts.refused += 1
        self._named += 1
        if self._named <= _MAX_NAMED:
            self._report(logging.WARNING, f"{printable(path or b'a message without a key')} refused: {reason}")
        if self._named == _MAX_NAMED:
            self._report(logging.WARNING, "further refused messages are only counted")

    def refuse_version(self, identity: bytes, path: bytes, reason: str) -> None:
        """Refuse a message, and all that follow of the same version."""
        self.refuse(path, reason)
        if len(self._versions) >= _MAX_VERSIONS:
            self._versions.clear()
        self._versions[identity] = None

    def is_refused(self, identity: bytes) -> bool:
        """Return whether the messages of a version are refused."""
        return identity in self._versions
