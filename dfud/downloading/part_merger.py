"""Merging the parts of a file whose chunks were received by several fetchers."""

from __future__ import annotations

from typing import NamedTuple, Union

from dfud.core.ranges import RangeSet
from dfud.messages import Merge, PartReport, Release, Released

Order = tuple[int, Union[Release, Merge]]  # the number of a fetcher, and what it has to do


class _PendingMerge(NamedTuple):
    """A version that is about to be merged."""

    merging: int  # the fetcher that merges
    releasing: set[int]  # the fetchers that have not released their parts yet
    released: list[Released]


class PartMerger:
    """Decides which fetcher merges which parts; pure, and notified of everything that fetchers report."""

    def __init__(self) -> None:
        self._spans: dict[bytes, dict[int, RangeSet]] = {}  # of bytes, by identity of the part and fetcher
        self._sizes: dict[bytes, int] = {}  # bytes, as far as known
        self._pending: dict[bytes, _PendingMerge] = {}

    @property
    def is_busy(self) -> bool:
        """Whether parts are about to be merged."""
        return bool(self._pending)

    def on_report(self, fetcher: int, report: PartReport) -> list[Order]:
        """Return what to do now that `fetcher` has these bytes: something if all of them are there, but apart."""
        part = report.part
        if not report.spans:
            by_fetcher = self._spans.get(part, {})
            by_fetcher.pop(fetcher, None)
            if not by_fetcher:
                self._forget(part)
            return []
        by_fetcher = self._spans.setdefault(part, {})
        by_fetcher[fetcher] = RangeSet(report.spans)
        if report.size is not None:
            self._sizes[part] = report.size
        size = self._sizes.get(part)
        if len(by_fetcher) < 2 or size is None or part in self._pending:
            return []
        union = RangeSet()
        for spans in by_fetcher.values():
            union.update(spans)
        if not union.covers(size):
            return []
        others = set(by_fetcher) - {fetcher}
        self._pending[part] = _PendingMerge(fetcher, others, [])
        return [(other, Release(part)) for other in sorted(others)]

    def on_released(self, fetcher: int, released: Released) -> list[Order]:
        """Return what to do now that `fetcher` has released a part."""
        part = released.part
        pending = self._pending.get(part)
        self._spans.get(part, {}).pop(fetcher, None)
        if pending is None:
            return []
        pending.releasing.discard(fetcher)
        if released.name:
            pending.released.append(released)
        if pending.releasing:
            return []
        self._forget(part)
        return [(pending.merging, Merge(part, tuple(pending.released)))]

    def _forget(self, part: bytes) -> None:
        self._pending.pop(part, None)
        self._spans.pop(part, None)
        self._sizes.pop(part, None)
