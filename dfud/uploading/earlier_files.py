"""Counting the files that were there before a run, and that it was not asked to send."""

from __future__ import annotations

from dfud.logs.completed.recorded import RecordedVersions
from dfud.uploading.ledger import Ledger


class EarlierFiles:
    """Collects the identities of these files, 16 bytes each, until all of them are known."""

    def __init__(self, completed: RecordedVersions, ledger: Ledger) -> None:
        """Leave out what is in `completed`, or in progress according to `ledger`."""
        self._completed = completed
        self._ledger = ledger
        self._identities = bytearray()
        self._is_counted = False

    def add(self, identities: bytes, is_last: bool) -> int:
        """Add the identities of some files; with the last ones, return how many files no table has."""
        if self._is_counted:  # a watcher that replaces another one reports them again
            return 0
        self._identities += identities
        if not is_last:
            return 0
        self._is_counted = True
        collected, self._identities = self._identities, bytearray()
        return self._completed.count_unknown(collected, self._ledger.identities()) if collected else 0

    def restart(self) -> None:
        """Forget what was collected: another watcher begins again."""
        self._identities.clear()
