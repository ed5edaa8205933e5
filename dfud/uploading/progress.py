"""Reporting acknowledged chunks to the supervisor, a few times a second at most."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from dfud.core.ranges import RangeSet
from dfud.messages import ChunksAcked
from dfud.uploading.upload import Upload

_REPORT_INTERVAL_S = 0.5  # s from the first unreported acknowledgement to the report


class ProgressReporter:
    """Responsible for reporting each acknowledged chunk of a file that is not complete yet."""

    def __init__(self, send: Callable[[Sequence[ChunksAcked]], None]) -> None:
        """`send` sends messages to the supervisor."""
        self._send = send
        self._uploads: list[Upload] = []  # some of them complete by now, with nothing unreported
        self._due_at = 0.0

    def add(self, upload: Upload, first: int, last: int, now: float) -> None:
        """Include the chunks from `first` to `last` in the next report."""
        if upload.unreported is not None:
            upload.unreported.add(first, last)
            return
        if not self._uploads:
            self._due_at = now + _REPORT_INTERVAL_S
        upload.unreported = RangeSet([(first, last)])
        self._uploads.append(upload)

    def report_due(self, now: float) -> None:
        """Report everything that is unreported if it is time."""
        if self._uploads and now >= self._due_at:
            self.report()

    @property
    def due_at(self) -> float | None:
        """When the next report is due (s, monotonic), or None if there is nothing to report."""
        return self._due_at if self._uploads else None

    def report(self) -> None:
        """Report everything that is unreported."""
        uploads, self._uploads = self._uploads, []
        reports = [
            ChunksAcked(upload.start.token, upload.unreported.ranges()) for upload in uploads if upload.unreported
        ]
        for upload in uploads:
            upload.unreported = None
        self._send(reports)
