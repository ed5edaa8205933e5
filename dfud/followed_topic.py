"""Reading a topic that goes on, without an end: partitions may be added to it, and it may be made anew."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Mapping

from confluent_kafka import Consumer, KafkaException

from dfud.errors import DfudError
from dfud.kafka.read_errors import ReadError, kind_of
from dfud.kafka.topic_follower import TopicFollower
from dfud.kafka.topic_reader import Read, TopicReader
from dfud.kafka.topic_watch import TopicState, TopicWatch

_BROKER_TIMEOUT_S = 5.0

_log = logging.getLogger(__name__)


class FollowedTopic:
    """Responsible for reading all partitions of the topic that a name stands for now."""

    def __init__(
        self,
        consumer: Consumer,
        topic: str,
        topic_id: str,
        reader: TopicReader,
        watch: TopicWatch,
        starts: Mapping[int, int],
    ) -> None:
        """Read on from `starts` with `reader`, which has no ends and does not resume by itself."""
        self._consumer = consumer
        self._topic = topic
        self._reader = reader
        self._follower = TopicFollower(watch, topic_id, self._on_replaced, self._on_same, self._on_gone)
        self._partitions = set(starts)
        reader.assign(starts)

    def read(self, timeout_s: float) -> Read:
        """Return what has been fetched, as the reader does; DfudError if the topic was deleted."""
        with contextlib.suppress(KafkaException):  # the broker is away: the follower asks again
            self._follower.run_due(time.monotonic())
        read = self._reader.read(timeout_s)
        if self._reader.is_waiting or any(kind_of(each) is ReadError.NO_TOPIC for each in read.errors):
            self._follower.hurry()
        return read

    def _on_replaced(self, _topic_id: str) -> None:
        _log.warning(
            "topic %s was deleted and made anew: reading it from its beginning; what was not read of the old one "
            "is lost",
            self._topic,
        )
        self._partitions.clear()
        self._reader.assign({})

    def _on_same(self, state: TopicState) -> None:
        added = set(state.partitions) - self._partitions
        if added:
            # Once the leaders are known, what follows waits for none of librdkafka's timers.
            self._consumer.list_topics(self._topic, _BROKER_TIMEOUT_S)
            self._reader.add(dict.fromkeys(added, 0))
            self._partitions |= added
        self._reader.resume()

    def _on_gone(self, is_gone: bool) -> None:
        if is_gone:
            raise DfudError(f"cannot read topic {self._topic}: it was deleted while it was read")
