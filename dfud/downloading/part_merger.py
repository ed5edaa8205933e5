"""Bringing together the chunks of a file that have come to several fetchers."""

from __future__ import annotations

from typing import NamedTuple, Union

from dfud.core.ranges import RangeSet
from dfud.messages import Merge, PartReport, Release, Released

Order = tuple[int, Union[Release, Merge]]  # the number of the fetcher that it is for, and what it is to do


class _PendingMerge(NamedTuple):
    """A version of a file that is being brought together."""

    owner: int  # the fetcher that makes it whole
    waiting: set[int]  # fetchers that are to give what they have
    given: list[Released]


class PartMerger:
    """Knows which bytes of which part lie with which fetcher; pure, and told of everything."""

    def __init__(self) -> None:
        self._held: dict[bytes, dict[int, RangeSet]] = {}
        self._sizes: dict[bytes, int] = {}  # of those that are known
        self._meetings: dict[bytes, _PendingMerge] = {}

    @property
    def is_busy(self) -> bool:
        """Whether some file is being brought together."""
        return bool(self._meetings)

    def on_report(self, fetcher: int, report: PartReport) -> list[Order]:
        """Take a report; return what is to be done where all bytes of a file are there, in several places."""
        part = report.part
        if not report.spans:
            holders = self._held.get(part, {})
            holders.pop(fetcher, None)
            if not holders:
                self._forget(part)
            return []
        holders = self._held.setdefault(part, {})
        holders[fetcher] = RangeSet(report.spans)
        if report.size is not None:
            self._sizes[part] = report.size
        size = self._sizes.get(part)
        if len(holders) < 2 or size is None or part in self._meetings:
            return []
        union = RangeSet()
        for spans in holders.values():
            union.update(spans)
        if not union.covers(size):
            return []
        others = set(holders) - {fetcher}
        self._meetings[part] = _PendingMerge(fetcher, others, [])
        return [(other, Release(part)) for other in sorted(others)]

    def on_released(self, fetcher: int, gift: Released) -> list[Order]:
        """Take what a fetcher has let go of; return what is to be done with it."""
        meeting = self._meetings.get(gift.part)
        self._held.get(gift.part, {}).pop(fetcher, None)
        if meeting is None:
            return []
        meeting.waiting.discard(fetcher)
        if gift.name:
            meeting.given.append(gift)
        return self._conclude(gift.part, meeting)

    def _conclude(self, part: bytes, meeting: _PendingMerge) -> list[Order]:
        if meeting.waiting:
            return []
        self._forget(part)
        return [(meeting.owner, Merge(part, tuple(meeting.given)))]

    def _forget(self, part: bytes) -> None:
        self._meetings.pop(part, None)
        self._held.pop(part, None)
        self._sizes.pop(part, None)
