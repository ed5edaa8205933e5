"""What the display shows of a download, and the summary of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from dfud.core.sizes import shown_size
from dfud.core.text import counted
from dfud.display.activity import Activity, Fact
from dfud.display.amounts import shown_rate, time_left
from dfud.display.meter import Meter
from dfud.display.summary import Summary
from dfud.downloading.counts import DownloadCounts


class DownloadActivity:
    """Responsible for the few numbers that say how a download is going."""

    def __init__(self, counts: DownloadCounts, is_stopping: Callable[[], bool], began: float) -> None:
        """Tell what `counts` has; the download `began` at that time (s, monotonic)."""
        self._counts = counts
        self._is_stopping = is_stopping
        self._began = began
        self._byte_rate, self._message_rate = Meter(), Meter()
        self.to_read: dict[int, int] = {}  # messages, by number of the fetcher; empty if nobody knows
        self.is_broker_away = False
        self.receipt_trouble: Callable[[], str] = lambda: ""  # a few words, while receipts cannot be sent

    def __call__(self, now: float) -> Activity:
        """Return how things are at `now` (s, monotonic)."""
        counts = self._counts
        rate = self._byte_rate.add(now, counts.bytes)
        messages = self._message_rate.add(now, counts.messages)
        to_read = sum(self.to_read.values())
        share = counts.messages / (counts.messages + to_read) if self.to_read and counts.messages else None
        is_idle = not messages
        facts = [Fact(f"{shown_size(counts.bytes)} read")]
        if not is_idle:
            facts.append(Fact(shown_rate(rate)))
        left = time_left(to_read, messages) if self._message_rate.is_steady else ""
        if left:
            facts.append(Fact(left))
        amount = f"{counts.messages:,} of {counted(counts.messages + to_read, 'message')}"
        return Activity((*facts, *self._results(is_idle)), share, "" if share is None else amount, is_idle=is_idle)

    def _results(self, is_idle: bool) -> Iterator[Fact]:
        yield Fact(f"{counted(self._counts.files, 'file')} completed")
        failed = self._counts.failed
        if failed:
            yield Fact(f"{failed:,} failed", "bad")
        yield Fact("broker unreachable", "bad") if self.is_broker_away else Fact("broker reachable", "good")
        trouble = self.receipt_trouble()
        if trouble:
            yield Fact(trouble, "bad")
        if self._is_stopping():
            yield Fact("saving what was read")
        elif is_idle and not self.to_read:
            yield Fact("waiting for messages", "quiet")

    def sum_up(self, now: float, n_incomplete: int) -> Summary:
        """Return the summary; `n_incomplete` files are for the next run."""
        counts = self._counts
        return Summary(counts.files, None, counts.bytes, now - self._began, counts.failed, n_incomplete)
