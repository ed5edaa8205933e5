"""Leaving LOGS as it was, if a run that had to open it before it was accepted is refused after all."""

from __future__ import annotations

import contextlib
import os

from dfud.logs.layout import LogsFolder
from dfud.logs.lock import DirectoryLock
from dfud.logs.owner import owner_file
from dfud.logs.upload_status import MAX_STATUS_BYTES


class UntouchedLogs:
    """What LOGS holds before a run, as far as a run that waits for a broker changes it."""

    def __init__(self, folder: LogsFolder) -> None:
        """Remember what is in `folder`, which may not exist; nothing is made."""
        self._folder = folder
        self._existed = False
        self._names: list[str] = []
        self._record = self._status = b""
        with contextlib.suppress(OSError):  # whoever opens it for good says why that is not possible
            self._names = folder.names()
            self._existed = True
            with folder.open_to_read(folder.lock) as lock_file:
                self._record = lock_file.read()
            with folder.open_to_read(folder.status) as status_file:
                self._status = status_file.read(MAX_STATUS_BYTES)

    def restore(self, lock: DirectoryLock) -> None:
        """Undo what `lock` and the waiting have changed; what cannot be undone stays."""
        folder = self._folder
        with contextlib.suppress(OSError):
            os.pwrite(lock.fileno(), self._record, 0)
            os.ftruncate(lock.fileno(), len(self._record))
        if self._status:
            with contextlib.suppress(OSError):
                folder.replace(folder.status, [self._status])
        for path in (owner_file(folder), folder.spelling, folder.status, folder.lock):
            if os.path.basename(path) not in self._names:
                with contextlib.suppress(OSError):
                    folder.unlink(path)
        if not self._existed:
            with contextlib.suppress(OSError):
                folder.remove()
