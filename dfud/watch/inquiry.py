"""Asks the supervisor which of the files that scans find are recorded: those need no look, and no message each."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable

from dfud.core.version import folders_above, path_key
from dfud.files.scan import ScannedFile
from dfud.messages import FilesScanned, FilesUnrecorded, FromWatcher

_BATCH_FILES = 2_000  # of 16 bytes each, in one message
_MAX_FILES = 10_000  # that wait for an answer, or for a look
_NUMBERS = 1 << 32  # of one process


class Inquiry:
    """Responsible for each scanned file that may be recorded, until that is known."""

    def __init__(self, send: Callable[[list[FromWatcher]], None]) -> None:
        """`send` sends messages to the supervisor."""
        self._send = send
        self._unasked: list[ScannedFile] = []
        self._asked: dict[int, list[ScannedFile]] = {}  # by the number of the question
        self._unrecorded: deque[ScannedFile] = deque()
        self._n_files = 0
        # An answer to a watcher that has died must not be taken for one to its replacement.
        self._number = os.getpid() * _NUMBERS

    def add(self, file: ScannedFile) -> None:
        """Ask for a file, soon or at the next `flush`."""
        self._unasked.append(file)
        self._n_files += 1
        if len(self._unasked) >= _BATCH_FILES:
            self.flush()

    def flush(self) -> None:
        """Ask for all files that are not asked for yet."""
        if not self._unasked:
            return
        self._number += 1
        self._asked[self._number] = self._unasked
        versions = [file.version for file in self._unasked]
        self._unasked = []
        identities = b"".join([version.identity() for version in versions])
        innermost = {version.path.rpartition(b"/")[0]: version.path for version in versions}
        folders = {folder for path in innermost.values() for folder in folders_above(path)}
        self._send([FilesScanned(self._number, identities, b"".join(map(path_key, folders)))])

    def on_answer(self, message: FilesUnrecorded) -> None:
        """Take the answer to a question."""
        files = self._asked.pop(message.number, None)
        if files is None:
            return
        self._n_files -= len(files) - len(message.positions)
        self._unrecorded.extend(files[position] for position in message.positions)

    def pop(self) -> ScannedFile | None:
        """Return the next file that is not recorded; None if there is none yet."""
        if not self._unrecorded:
            return None
        self._n_files -= 1
        return self._unrecorded.popleft()

    @property
    def has_answers(self) -> bool:
        """Whether `pop` has anything to return."""
        return bool(self._unrecorded)

    @property
    def is_full(self) -> bool:
        """Whether no more files can wait: a scan has to pause."""
        return self._n_files >= _MAX_FILES

    @property
    def is_done(self) -> bool:
        """Whether no file waits."""
        return not self._n_files
