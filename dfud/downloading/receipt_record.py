"""Which receipts have been sent of all that a directory has: the record of it in LOGS.

A run without receipts removes it: the next one with receipts sends those of all files that are there.
"""

from __future__ import annotations

import contextlib
import json

from dfud.files.open_folder import OpenFolder
from dfud.receipts.settings import ReceiptSettings

_MAX_BYTES = 1 << 16  # somebody may have made a file to fill memory


class ReceiptRecord:
    """Responsible for the file that says to which topic, and as which receiver, everything was sent."""

    def __init__(self, logs: OpenFolder, source: str) -> None:
        """Use LOGS; `source` is the topic that the files are read from."""
        self._logs = logs
        self._path = logs.file(f".download_from_{source}.receipts")

    def has(self, settings: ReceiptSettings) -> bool:
        """Return whether all receipts that `settings` want of earlier files were sent."""
        try:
            with self._logs.open_to_read(self._path) as file:
                return bool(json.loads(file.read(_MAX_BYTES)) == _fields(settings))
        except (OSError, ValueError, RecursionError):
            return False

    def write(self, settings: ReceiptSettings) -> None:
        """Note that all receipts that `settings` want of earlier files were sent; OSError if that fails."""
        self._logs.replace(self._path, [json.dumps(_fields(settings)).encode()])

    def remove(self) -> None:
        """Note that receipts may be missing; OSError if that fails."""
        with contextlib.suppress(FileNotFoundError):
            self._logs.unlink(self._path)


def _fields(settings: ReceiptSettings) -> dict[str, object]:
    return {
        "topic": settings.topic,
        "topic_id": settings.topic_id,
        "receiver": settings.receiver,
        "sha256": settings.with_sha256,
    }
