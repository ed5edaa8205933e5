"""Messages after the end of what can be read: an open transaction hides them, or the log was cut."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from confluent_kafka import Consumer, TopicPartition

from dfud.kafka.partition_reader import Batch
from dfud.messages import Hidden

_CUT_PATIENCE_S = 15.0  # a new leader may need a moment to know the end


class _End(NamedTuple):
    offset: int  # from which on nothing can be read
    since: float | None  # when it was first noticed that more should follow (s)
    is_reported: bool


class Unread(NamedTuple):
    """Offsets that should follow and cannot be read."""

    partition: int
    first: int
    last: int
    is_there: bool  # a transaction hides them; otherwise the log ends before them


class HiddenMessages:
    """Responsible for noticing partitions that should go on after the end of what can be read.

    Transactions are short: a partition is reported only when it has not gone on for some time.
    """

    def __init__(self, consumer: Consumer, topic: str, patience_s: float) -> None:
        self._consumer = consumer
        self._topic = topic
        self._patience_s = patience_s
        self._ends: dict[int, _End] = {}

    @property
    def at_end(self) -> list[int]:
        """The partitions that have been read as far as possible."""
        return list(self._ends)

    @property
    def idle(self) -> list[int]:
        """The partitions that have been read as far as possible, and as far as they are known to go."""
        return [number for number, end in self._ends.items() if self._high(number) <= end.offset]

    def clear(self) -> None:
        """Forget all: the topic was made anew."""
        self._ends.clear()

    def forget(self, number: int) -> None:
        """Forget a partition, which is no longer read here."""
        self._ends.pop(number, None)

    def on_batch(self, batch: Batch) -> list[Hidden]:
        """Note what was read; return the partitions that go on after they were reported."""
        resumed = []
        for number in batch.next_offsets:
            offset, known = batch.at_end.get(number), self._ends.get(number)
            if known is not None and known.offset != offset:
                del self._ends[number]
                if known.is_reported:
                    resumed.append(Hidden(number, 0, -1))
            if offset is not None:
                self._ends.setdefault(number, _End(offset, None, False))
        return resumed

    def due(self, now: float, wanted: Mapping[int, int] | None) -> list[Unread]:
        """Return what cannot be read, of each partition once; `wanted` are the offsets to read up to, if any."""
        reports = []
        for number, end in self._ends.items():
            if end.is_reported:
                continue
            high = self._high(number)
            until = high if wanted is None else wanted.get(number, 0)
            is_there = high > end.offset
            if until <= end.offset:
                self._ends[number] = end._replace(since=None)
            elif end.since is None:
                self._ends[number] = end._replace(since=now)
            elif now >= end.since + (self._patience_s if is_there else _CUT_PATIENCE_S):
                self._ends[number] = end._replace(is_reported=True)
                last = (min(high, until) if is_there else until) - 1
                reports.append(Unread(number, end.offset, last, is_there))
        return reports

    def _high(self, number: int) -> int:
        """Return where a partition ends, as of its last answer."""
        _, high = self._consumer.get_watermark_offsets(TopicPartition(self._topic, number), cached=True)
        return int(high)
