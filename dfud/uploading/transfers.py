"""The files that are being sent right now, and how fast each of them is."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from typing import NamedTuple

from dfud.core.sizes import shown_size
from dfud.core.text import counted, printable
from dfud.display.amounts import shown_rate
from dfud.uploading.entry import Entry
from dfud.uploading.ledger import Ledger

_SAMPLE_INTERVAL_S = 1.0
_MAX_SAMPLED = 100  # files; there may be thousands of small ones, which are gone at the next look
_MAX_LISTED = 10


class _Sample(NamedTuple):
    """How far a file was."""

    time: float  # s, monotonic
    acked: int  # bytes


class Transfers:
    """Responsible for the rates of single files, at no cost for each file or chunk."""

    def __init__(self, ledger: Ledger) -> None:
        """Look at the files of `ledger`."""
        self._ledger = ledger
        self._next_sample = 0.0  # s, monotonic
        self._samples: dict[int, _Sample] = {}  # by token: at the look before the last one, or the first
        self._last: dict[int, _Sample] = {}

    def turn(self, now: float) -> None:
        """Look at the largest files if it is time."""
        if now < self._next_sample:
            return
        self._next_sample = now + _SAMPLE_INTERVAL_S
        present = {each.token: _Sample(now, each.acked_bytes) for each in self.largest(_MAX_SAMPLED)}
        self._samples = {token: self._last.get(token, sample) for token, sample in present.items()}
        self._last = present

    def largest(self, number: int) -> list[Entry]:
        """Return up to `number` files that are being sent, the largest first."""
        return heapq.nlargest(number, self._ledger.active(), key=lambda entry: entry.version.size)

    def rate(self, entry: Entry, now: float) -> float | None:
        """Return how fast a file has been acknowledged in the last seconds (bytes per second), None if too new."""
        sample = self._samples.get(entry.token)
        if sample is None or now <= sample.time:
            return None
        return max(0.0, (entry.acked_bytes - sample.acked) / (now - sample.time))

    def lines(self, now: float) -> Iterator[str]:
        """Yield what is said of each file that is being sent to a user who asks."""
        entries = self.largest(_MAX_LISTED)
        for entry in entries:
            rate = self.rate(entry, now)
            size = entry.version.size
            per_second = "" if rate is None else f", {shown_rate(rate)}"
            yield (
                f"  {printable(entry.version.path)}: {shown_size(entry.acked_bytes)} of {shown_size(size)} "
                f"acknowledged{per_second}"
            )
        more = self._ledger.n_active - len(entries)
        if more:
            yield f"  and {counted(more, 'more file')}"
