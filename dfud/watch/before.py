"""What a first scan finds and leaves: files that were there before, and what a topic cannot hold."""

from __future__ import annotations

import logging
from collections.abc import Callable

from dfud.core.version import FileVersion
from dfud.files.scan import WatchedTree
from dfud.messages import FilesBefore, FromWatcher, Notice

_BATCH_FILES = 4_000  # of 16 bytes each, in one message


class FilesLeftBefore:
    """Responsible for reporting, once, what the first scan has left.

    The supervisor is sent the identities of all files that were there before; it knows which of them are recorded.
    """

    def __init__(self, send: Callable[[list[FromWatcher]], None], warn_unmatched: Callable[[int], str]) -> None:
        """`send` sends messages to the supervisor; `warn_unmatched` returns the warning for a useless pattern."""
        self._send = send
        self._warn_unmatched = warn_unmatched
        self._identities: list[bytes] = []

    def add(self, version: FileVersion) -> None:
        """Count a file that was there before and is not to be sent."""
        self._identities.append(version.identity())
        if len(self._identities) >= _BATCH_FILES:
            self._flush(is_last=False)

    def finish(self, tree: WatchedTree) -> None:
        """Report what is left: the first scan is done."""
        self._flush(is_last=True)
        counts = tree.counts
        notices = [Notice(logging.INFO, line) for line in counts.lines()]
        warning = "" if counts.accepted else self._warn_unmatched(counts.files)
        if warning:
            notices.append(Notice(logging.WARNING, warning))
        self._send([*notices])

    def _flush(self, is_last: bool) -> None:
        self._send([FilesBefore(b"".join(self._identities), is_last)])
        self._identities.clear()
