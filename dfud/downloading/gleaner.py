"""Finds the chunks of OpenMSIStream's files, which lie in all partitions, while several downloads share a topic.

The member that reads the first chunk of a file completes the file: it looks for the other chunks in all
partitions, its own and those of others. `SearchPlan` says how far back.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

import msgspec
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from dfud.core.chunk import BadMessageError, ForeignMessageError
from dfud.core.decode import headers_of, read_chunk
from dfud.downloading.search_plan import SearchPlan
from dfud.errors import DfudError
from dfud.kafka.topic_reader import TopicReader
from dfud.messages import Gap, Notice

_BROKER_TIMEOUT_S = 5.0
_RETRY_INTERVAL_S = 1.0  # while the broker does not answer
_PATIENCE_S = 5.0  # at the end of all partitions, before it looks further back: the rest may be on its way


class TopicNow(Protocol):
    """What is known of the topic that is being read."""

    topic_id: str
    partitions: frozenset[int]  # of which it is known that they are there
    ends: Mapping[int, int] | None  # by partition, the offset to stop at; None to go on; empty if not known yet


class Broker(Protocol):
    """What hears how reading goes."""

    def on_errors(self, errors: Iterable[KafkaError]) -> None:
        """Handle errors."""

    def on_read(self) -> None:
        """Note that the broker has answered."""


class Gleaner:
    """Responsible for a consumer of its own, which is in no group and commits nothing."""

    def __init__(
        self,
        make_consumer: Callable[[], Consumer],
        topic: str,
        now: TopicNow,
        is_incomplete: Callable[[bytes], bool],
        take: Callable[[Any], None],
        broker: Broker,
        report: Callable[[Gap | Notice], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Pass messages to `take` as long as their files are incomplete.

        The consumer needs `READER_PROPERTIES`. `report` gets what could not be read where a file was looked for in
        vain, and why nothing can be looked for any more.
        """
        self._make_consumer = make_consumer
        self._topic = topic
        self._now = now
        self._is_incomplete = is_incomplete
        self._take = take
        self._broker = broker
        self._report = report
        self._clock = clock
        self._consumer: Consumer | None = None
        self._reader: TopicReader | None = None  # None if nothing is being read
        self._topic_id = now.topic_id
        self._partitions: frozenset[int] = frozenset()  # that are being read
        self._plan = SearchPlan()
        self._start_ms: int | None = None  # of the present search; 0 for the beginning, None if there is none
        self._unread: set[int] = set()  # partitions that were not read to the end since the last start
        self._at_end_since = 0.0
        self._gaps: list[Gap] = []  # that the present search came across
        self._next_attempt = 0.0
        self._is_stuck = False

    def want(self, identity: bytes, timestamp_ms: int) -> None:
        """Look for the chunks of a version whose first chunk was sent at `timestamp_ms`."""
        self._follow()
        self._plan.add(identity, timestamp_ms)

    @property
    def is_done(self) -> bool:
        """Whether nothing is looked for, or all of the topic was searched in vain."""
        self._plan.keep(self._is_incomplete)
        return self._is_stuck or not self._plan or (self._start_ms is None and not self._plan.has_next)

    @property
    def _is_due(self) -> bool:
        """Whether another search is to begin."""
        return self._start_ms is None and self._plan.has_next

    def run_once(self) -> None:
        """Read what has been fetched, without waiting."""
        if self._is_stuck:
            return
        self._follow()
        self._plan.keep(self._is_incomplete)
        if not self._plan:
            self._stop()
            return
        try:
            if self._is_due and self._clock() >= self._next_attempt:
                self._start()
            if self._reader is not None and not self._is_due:
                self._read(self._reader)
        except KafkaException as error:
            self._next_attempt = self._clock() + _RETRY_INTERVAL_S
            self._broker.on_errors([error.args[0]])
        except DfudError as error:  # librdkafka never returns from a batch: not even the consumer can be closed
            self._is_stuck = True
            self._report(Notice(logging.ERROR, f"{error}, and start the download again"))

    def close(self) -> None:
        """Close the consumer."""
        if self._consumer is not None:
            self._consumer.close()

    def _follow(self) -> None:
        """Look for nothing of a topic that was made anew, and search partitions that were added."""
        if self._topic_id != self._now.topic_id:
            self._topic_id = self._now.topic_id
            self._plan.clear()
        elif self._reader is not None and self._partitions != self._now.partitions:
            self._plan.restart()
            self._start_ms = None

    def _stop(self) -> None:
        if self._consumer is not None and self._reader is not None:
            self._consumer.unassign()
        self._reader = self._start_ms = None
        self._gaps.clear()

    def _start(self) -> None:
        """Read all partitions from where the plan says on; KafkaException if the broker does not answer."""
        numbers = self._now.partitions
        if not numbers:  # it is not known yet
            return
        if self._consumer is None:
            self._consumer = self._make_consumer()
        self._consumer.unassign()  # no request has to wait until the broker has nothing to deliver
        # Once the leaders are known, none of these has to wait for librdkafka's timers.
        self._consumer.list_topics(self._topic, _BROKER_TIMEOUT_S)
        starts, ends = {}, {}
        for number in numbers:
            asked = TopicPartition(self._topic, number)
            starts[number], ends[number] = self._consumer.get_watermark_offsets(asked, _BROKER_TIMEOUT_S)
        start_ms = self._plan.start_ms()
        if start_ms:
            try:
                starts = self._since(self._consumer, start_ms, ends)
            except KafkaException as error:
                if error.args[0].code() < KafkaError.UNKNOWN:  # not an answer of the broker, but of the client
                    raise
                start_ms = 0  # a damaged batch, whose times the broker cannot read
        if self._reader is not None:  # nothing that is still to come is passed over for the others
            starts.update({n: min(starts[n], at) for n, at in self._reader.positions.items() if n in starts})
        self._reader = TopicReader(self._consumer, self._topic, self._now.ends, self._on_gap)
        self._reader.assign(starts)
        self._plan.on_start()
        self._start_ms = start_ms
        self._partitions = numbers
        self._unread = set(numbers)
        self._at_end_since = self._clock()

    def _since(self, consumer: Consumer, start_ms: int, ends: Mapping[int, int]) -> dict[int, int]:
        """Return the first offset of each partition from a time on; KafkaException if the broker does not say."""
        times = [TopicPartition(self._topic, number, start_ms) for number in ends]
        starts = {}
        for each in consumer.offsets_for_times(times, _BROKER_TIMEOUT_S):
            if each.error is not None:
                raise KafkaException(each.error)
            starts[each.partition] = each.offset if each.offset >= 0 else ends[each.partition]
        return starts

    def _read(self, reader: TopicReader) -> None:
        messages, errors = reader.read(0)
        self._broker.on_errors(errors)
        if messages:
            self._broker.on_read()
        for message in messages:
            self._check(message)
        if self._unread:
            self._unread &= reader.unread
            self._at_end_since = self._clock()
        is_patient = self._now.ends is not None or self._clock() >= self._at_end_since + _PATIENCE_S
        if self._start_ms is not None and not self._unread and is_patient:
            self._end(self._start_ms)

    def _end(self, start_ms: int) -> None:
        self._plan.keep(self._is_incomplete)
        if self._plan.on_end(start_ms):
            for gap in self._gaps:
                self._report(gap)
        self._gaps.clear()
        self._start_ms = None

    def _on_gap(self, gap: Gap) -> None:
        if gap.cause == "hidden":  # whoever reads its partition waits for the transaction's end
            return
        gap = msgspec.structs.replace(gap, topic_id=self._topic_id)
        if self._start_ms is None:
            self._report(gap)
        else:
            self._gaps.append(gap)

    def _check(self, message: Any) -> None:
        try:
            chunk = read_chunk(message.key(), message.value(), headers_of(message))
        except (ForeignMessageError, BadMessageError):  # whoever reads its partition reports it
            return
        identity = chunk.identity()
        if chunk.number > 1 and identity in self._plan and self._is_incomplete(identity):
            self._take(message)
