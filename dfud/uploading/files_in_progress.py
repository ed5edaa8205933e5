"""The files that a producer has begun and not finished."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from dfud.messages import FileStart, FileUndelivered, FromProducer
from dfud.uploading.completed_writer import CompletedWriter
from dfud.uploading.progress import ProgressReporter
from dfud.uploading.upload import Upload
from dfud.uploading.wire import UnsendableFileError, WireFormat


class FilesInProgress:
    """Responsible for each file from its first run until it is complete, has failed, or was dropped."""

    def __init__(
        self,
        wire: WireFormat,
        completed: CompletedWriter,
        send: Callable[[Sequence[FromProducer]], None],
    ) -> None:
        """`send` sends messages to the supervisor."""
        self._wire = wire
        self._completed = completed
        self._send = send
        self._uploads: dict[int, Upload] = {}  # by token
        self._progress = ProgressReporter(send)

    def __len__(self) -> int:
        """Count the files."""
        return len(self._uploads)

    def find(self, token: int) -> Upload | None:
        """Return the upload with this token, None if it is not in progress."""
        return self._uploads.get(token)

    def begin(self, start: FileStart) -> Upload | None:
        """Return the upload of a file that begins, None if the wire format cannot carry it."""
        # Its chunker may have died, and the next one begins again: the digest of what is read now says nothing
        # about what was read before.
        self.drop(start.token)
        try:
            messages = self._wire.messages(start)
        except UnsendableFileError as error:
            self._send([FileUndelivered(start.token, str(error))])
            return None
        upload = self._uploads[start.token] = Upload(start, messages)
        return upload

    def drop(self, token: int) -> None:
        """Forget a file of which no more runs follow; nothing that waits is sent any more."""
        upload = self._uploads.pop(token, None)
        if upload is not None:
            upload.failure = "it changed while it was read, or is read again"

    def on_acked(self, upload: Upload, first: int, last: int, now: float) -> None:
        """Take the acknowledgements of the chunks from `first` to `last`."""
        upload.on_acked(first, last)
        if upload.is_complete:
            self.complete(upload)
        else:
            self._progress.add(upload, first, last, now)

    def complete(self, upload: Upload) -> None:
        """Finish a file of which everything is read and acknowledged, unless it was dropped."""
        token = upload.start.token
        if self._uploads.get(token) is upload:
            del self._uploads[token]
            upload.unreported = None
            self._completed.add(upload)

    def fail(self, upload: Upload, reason: str, is_too_large: bool = False, chunk: int = 0) -> None:
        """Report a file as undelivered because of a `chunk` (0 if that is not known); nothing more of it is sent.

        All that was acknowledged is reported before.
        """
        upload.failure = reason
        self._progress.report()
        self._uploads.pop(upload.start.token, None)
        self._send([FileUndelivered(upload.start.token, reason, is_too_large, chunk)])

    # -- what is reported and written

    def due_at(self, hurry: bool) -> float | None:
        """Return when something is to be reported or written (s, monotonic), or None; rows sooner in a `hurry`."""
        times = (self._progress.due_at, self._completed.due_at(hurry))
        return min((at for at in times if at is not None), default=None)

    def write_due(self, now: float, hurry: bool) -> None:
        """Report the progress and write the rows that are due."""
        self._progress.report_due(now)
        self._completed.write_due(now, hurry)

    def check_shard(self, now: float) -> None:
        """Write the present shard again if it was removed or replaced."""
        self._completed.check(now)

    def write_all(self, now: float) -> None:
        """Report all progress and write all rows."""
        self._progress.report()
        self._completed.write_all(now)
