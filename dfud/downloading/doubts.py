"""Complete parts whose digests do not match, or did not."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable

from dfud.core.text import printable
from dfud.downloading.counts import DownloadCounts
from dfud.downloading.part import Part
from dfud.downloading.part_store import PartStore
from dfud.downloading.refusals import LimitedReport

_NO_RECHECK = 64 << 20  # bytes that may be read again for digests that have failed before
_RECHECKED = 8  # bytes more for each byte that is received
_RECHECKED_QUIET = 8 << 20  # bytes more whenever there is nothing to read for a moment
_MAX_UNREPORTED = 1_000  # parts that wait for a quiet moment
_MAX_REPORTED = 10_000  # parts that are remembered
_WRONG = "its digest does not match"


class Doubts:
    """Responsible for when parts that have failed are checked again, and when they are reported.

    A version that is sent again with other bytes is whole before all of them are received, and its last chunk need
    not be the last to come: a sender may have several batches under way. So what has failed is checked again once
    there is nothing to read for a moment, and reported only then.
    """

    def __init__(
        self, store: PartStore, counts: DownloadCounts, report: LimitedReport, check: Callable[[Part], None]
    ) -> None:
        """`check` checks a part once more, and then calls `on_right` or `on_wrong`."""
        self._store = store
        self._counts = counts
        self._report = report
        self._check = check
        self._allowance = _NO_RECHECK  # bytes
        self._doubted: dict[bytes, None] = {}  # identities of what has failed and got other bytes since
        self._unreported: dict[bytes, None] = {}  # identities of what has failed
        self._reported: set[bytes] = set()  # the same, once it is reported

    def on_received(self, n_bytes: int) -> None:
        """Note that so many bytes were received, which limits what is read for digests that have failed before."""
        self._allow(_RECHECKED * n_bytes)

    def _allow(self, n_bytes: int) -> None:
        if self._allowance < _NO_RECHECK:
            self._allowance += n_bytes

    def admit(self, part: Part) -> bool:
        """Return whether a part that has failed may be read once more now, and count that."""
        cost = (part.assembly.size or 0) - part.assembly.hashed
        is_allowed = cost <= self._allowance
        if is_allowed:
            self._allowance -= cost
        return is_allowed

    def add(self, part: Part) -> None:
        """Have a part that has failed, and has got other bytes since, checked again in a quiet moment."""
        self._doubted[part.identity] = None

    def on_wrong(self, part: Part) -> None:
        """Note that the digest of a part does not match."""
        self._doubted.pop(part.identity, None)
        if not part.failure:
            self._unreported[part.identity] = None
        part.failure = _WRONG
        self._store.on_changed(part)
        if len(self._unreported) > _MAX_UNREPORTED:
            self.report()

    def on_right(self, part: Part) -> None:
        """Note that the digest of a part matches."""
        identity = part.identity
        self._doubted.pop(identity, None)
        self._unreported.pop(identity, None)
        if identity in self._reported:
            self._reported.remove(identity)
            self._counts.wrong -= 1

    def on_quiet(self, is_end: bool) -> None:
        """Check again, and report, what has failed: there is nothing to read at the moment, or `is_end`, no more.

        At the end that may cost what it will; otherwise what is too much waits for another moment.
        """
        self._allow(_RECHECKED_QUIET)
        for identity in list(self._doubted):
            part = self._store.find(identity)
            if part is None or not part.is_complete:
                del self._doubted[identity]
            elif is_end or self.admit(part):
                self._check(part)
        self._report_all([each for each in self._unreported if each not in self._doubted])

    def report(self) -> None:
        """Report what has failed and was not reported yet."""
        self._report_all(list(self._unreported))

    def _report_all(self, identities: Iterable[bytes]) -> None:
        for identity in identities:
            del self._unreported[identity]
            part = self._store.find(identity)
            if part is None or part.failure != _WRONG:
                continue
            self._counts.wrong += 1
            if len(self._reported) < _MAX_REPORTED:
                self._reported.add(identity)
            text = f"{printable(part.path)}: all chunks received, but the digest does not match; kept in LOGS"
            self._report(logging.WARNING, text)
