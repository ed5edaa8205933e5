"""Finds the chunks of OpenMSIStream's files, which lie in all partitions, while several downloads share a topic.

The member that reads the first chunk of a file completes the file: it looks for the other chunks in all
partitions, its own and those of others. They lie near the first chunk, unless they were sent again after hours: it
looks at a minute at first, then at more, at last at everything.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, TopicPartition

from dfud.core.chunk import BadMessageError, ForeignMessageError
from dfud.core.decode import headers_of, read_chunk

_BROKER_TIMEOUT_S = 5.0
_MAX_BATCH = 500
_WIDENINGS_S = (60.0, 3_600.0, 86_400.0)  # before the first chunk; then from the beginning
_PATIENCE_S = 5.0  # at the end of all partitions, before it looks further back: the rest may be on its way


class Parts(Protocol):
    """What is used of the parts of the fetcher."""

    def __contains__(self, identity: bytes) -> bool:
        """Return whether a version is incomplete."""


class Gleaner:
    """Responsible for a consumer of its own, which is in no group and commits nothing."""

    def __init__(
        self,
        make_consumer: Callable[[], Consumer],
        topic: str,
        ends: Mapping[int, int] | None,
        parts: Parts,
        take: Callable[[Any], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Pass messages to `take` as long as their files are among the incomplete `parts`.

        `ends` are the offsets to stop at, by partition; None to go on as the topic grows.
        """
        self._make_consumer = make_consumer
        self._topic = topic
        self._ends = ends
        self._parts = parts
        self._take = take
        self._clock = clock
        self._consumer: Consumer | None = None
        self._wanted: dict[bytes, int] = {}  # by identity, the time of the first chunk (ms since 1970)
        self._n_widened = 0
        self._start_ms: int | None = None  # of what is being read; 0 for the beginning, None if nothing is
        self._unread: set[int] = set()  # partitions that were not read to the end since the last start
        self._at_end_since = 0.0

    def want(self, identity: bytes, timestamp_ms: int) -> None:
        """Look for the chunks of a version whose first chunk was sent at `timestamp_ms`."""
        self._wanted[identity] = timestamp_ms
        if self._start_ms is None or timestamp_ms - 1000 * _WIDENINGS_S[0] < self._start_ms:
            self._n_widened = 0
            self._start_ms = None

    @property
    def is_done(self) -> bool:
        """Whether nothing is looked for, or all of the topic was searched in vain."""
        self._forget()
        return not self._wanted or (self._start_ms == 0 and not self._unread)

    def run_once(self) -> None:
        """Read what has been fetched, without waiting; KafkaException if the broker does not answer."""
        self._forget()
        if not self._wanted:
            self._stop()
            return
        if self._start_ms is None:
            self._start()
        assert self._consumer is not None
        for message in self._consumer.consume(_MAX_BATCH, 0):
            error = message.error()
            if error is None:
                self._check(message)
            elif error.code() == KafkaError._PARTITION_EOF:
                self._on_end(message.partition() or 0)
        is_patient = self._ends is not None or self._clock() - self._at_end_since >= _PATIENCE_S
        if not self._unread and self._start_ms and is_patient:
            self._n_widened += 1
            self._start()

    def close(self) -> None:
        """Close the consumer."""
        if self._consumer is not None:
            self._consumer.close()

    def _forget(self) -> None:
        for identity in [each for each in self._wanted if each not in self._parts]:
            del self._wanted[identity]

    def _stop(self) -> None:
        if self._consumer is not None and self._start_ms is not None:
            self._consumer.unassign()
            self._start_ms = None

    def _start(self) -> None:
        """Read all partitions from some time before the earliest first chunk."""
        if self._consumer is None:
            self._consumer = self._make_consumer()
        topic = self._topic
        numbers = list(self._consumer.list_topics(topic, _BROKER_TIMEOUT_S).topics[topic].partitions)
        start_ms = 0
        if self._n_widened < len(_WIDENINGS_S):
            start_ms = max(0, round(min(self._wanted.values()) - 1000 * _WIDENINGS_S[self._n_widened]))
        asked = [TopicPartition(topic, each, start_ms or OFFSET_BEGINNING) for each in numbers]
        self._consumer.assign(self._consumer.offsets_for_times(asked, _BROKER_TIMEOUT_S) if start_ms else asked)
        self._start_ms = start_ms
        self._unread = set(numbers)

    def _check(self, message: Any) -> None:
        number, offset = message.partition(), message.offset()
        if self._ends is not None and offset + 1 >= self._ends.get(number, 0):
            self._on_end(number)
        try:
            chunk = read_chunk(message.key(), message.value(), headers_of(message))
        except (ForeignMessageError, BadMessageError):  # whoever reads its partition reports it
            return
        identity = chunk.identity()
        if identity in self._wanted and identity in self._parts:
            self._take(message)

    def _on_end(self, number: int) -> None:
        if number in self._unread:
            self._unread.discard(number)
            self._at_end_since = self._clock()
