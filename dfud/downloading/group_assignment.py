"""Which partitions a fetcher reads of a topic that several downloads share: Kafka's group protocol says so."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from confluent_kafka import Consumer, KafkaException, TopicPartition

from dfud.downloading.assignment import ask_ends
from dfud.downloading.commit_metadata import Progress, parse_metadata
from dfud.downloading.offsets import Position
from dfud.downloading.settings import FetchSettings
from dfud.kafka.partition_reader import PartitionReader

_BROKER_TIMEOUT_S = 5.0  # for each question
_LEAVE_POLL_S, _LEAVE_POLLS = 0.1, 20
_UNFINISHED_PATIENCE_S = 10.0  # with files that others have incomplete: they may look for chunks elsewhere
_STALLED_PATIENCE_S = 60.0  # with other members that commit nothing new: they may never read on
_UPDATE_INTERVAL_S = 1.0  # between questions how far the other members have read

_DEFAULTS: Mapping[str, Any] = {
    "topic.metadata.refresh.interval.ms": 10_000,  # until partitions that were added are given to members
}
_CLASSIC_DEFAULTS: Mapping[str, Any] = {  # with `group.protocol = consumer` the broker decides
    "partition.assignment.strategy": "cooperative-sticky",  # what stays with a member is read on meanwhile
    "heartbeat.interval.ms": 500,  # until a member hears that partitions change hands, twice each time
    "session.timeout.ms": 10_000,  # until the partitions of a member that was killed are given to others
}


def member_properties(properties: Mapping[str, Any]) -> dict[str, Any]:
    """Return librdkafka's `properties` with what a member of a group needs and the user has not set."""
    is_classic = str(properties.get("group.protocol", "classic")).lower() == "classic"
    return {**_DEFAULTS, **(_CLASSIC_DEFAULTS if is_classic else {}), **properties}


class GroupAssignment:
    """Responsible for being a member of the group, and for knowing how far all members together have read.

    A partition is read from where the group has committed. Its files of several chunks are read by one member from
    their first chunk to their last, because what is committed lies before the first chunk of each file that is not
    complete; see `progress`.
    """

    interval_s = _UPDATE_INTERVAL_S

    def __init__(
        self,
        consumer: Consumer,
        reader: PartitionReader,
        settings: FetchSettings,
        on_assigned: Callable[[dict[int, Progress]], None],
        on_revoked: Callable[[set[int], bool], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Give partitions to `reader`.

        `on_assigned` is called with where each partition begins, `on_revoked` with partitions that other members
        read from now on, and with whether they do so already: nothing can be committed then. Both are called by
        the consumer, and must not poll it.
        """
        self._consumer = consumer
        self._reader = reader
        self._topic = settings.topic
        self._on_assigned = on_assigned
        self._on_revoked = on_revoked
        self._is_subscribed = False
        self.is_leaving = False
        self._own: set[int] = set()
        self._unstarted: set[int] = set()  # of our own, those of which it is not known yet where to begin
        self._others: dict[int, Progress] = {}  # by partition, what other members have committed
        self.partitions: frozenset[int] = frozenset()  # that are read by all members together, as far as known
        self._clock = clock
        self._unfinished_since = self._progressed = clock()  # `_progressed`: when other members last committed
        self.topic_id = settings.topic_id
        self.ends = settings.ends  # by partition; None to read forever; empty until the broker is asked for them

    def update(self) -> dict[int, int]:
        """Join the group at first; then learn how far the other members have read, if there is an end.

        Returns nothing, as `on_assigned` is called instead. Raises KafkaException if the broker does not answer,
        or refuses to.
        """
        metadata = self._consumer.list_topics(self._topic, _BROKER_TIMEOUT_S).topics[self._topic]
        if metadata.error is not None:
            raise KafkaException(metadata.error)
        if self.ends is not None and not self.ends:
            self.ends = ask_ends(self._consumer, self._topic, metadata.partitions)
            self._reader.set_ends(self.ends)
        self.partitions = frozenset(metadata.partitions if self.ends is None else self.ends)
        if not self._is_subscribed:
            self._consumer.subscribe(
                [self._topic], on_assign=self._assign, on_revoke=self._revoke, on_lost=self._lose
            )
            self._is_subscribed = True
        if self._unstarted:
            self._start(self._unstarted)
        if self.ends is not None:
            others = self._committed([number for number in self.ends if number not in self._own])
            if others != self._others:
                self._others = others
                self._progressed = self._clock()
            if not self._incomplete_elsewhere:
                self._unfinished_since = self._clock()
        return {}

    @property
    def is_complete(self) -> bool:
        """Whether the other members have read all partitions that are not read here up to their ends.

        If they do not get any further, nobody waits for them.
        """
        if not self.ends or not self._is_subscribed or self._unstarted:
            return False
        if self._unread_elsewhere:
            return self._clock() >= self._progressed + _STALLED_PATIENCE_S
        return not self._incomplete_elsewhere or self._clock() >= self._unfinished_since + _UNFINISHED_PATIENCE_S

    @property
    def unfinished_elsewhere(self) -> dict[int, int]:
        """By partition that others read, the offset from which on they have not read or not completed all."""
        return {**self._unread_elsewhere, **self._incomplete_elsewhere}

    @property
    def _incomplete_elsewhere(self) -> dict[int, int]:
        others = self._others.items()
        return {number: each.needed for number, each in others if each.needed < each.position}

    @property
    def _unread_elsewhere(self) -> dict[int, int]:
        numbers = (self.ends or {}).keys() - self._own
        return {number: self._read_elsewhere(number) for number in numbers if not self._has_been_read(number)}

    def missing(self, numbers: Iterable[int]) -> list[int]:
        """Return nothing: partitions that were added are given to members by the group."""
        return []

    def restart(self, topic_id: str) -> None:
        """Join the group once more, to read another topic of the same name."""
        self.stop()
        self._is_subscribed = self.is_leaving = False
        self._others = {}
        self.partitions = frozenset()
        self.topic_id = topic_id
        self.ends = None if self.ends is None else {}

    def retry(self, positions: Mapping[int, Position]) -> None:
        """Fetch each partition again from its position: librdkafka does so late where it was refused."""
        for number in self._own - self._unstarted:
            self._reader.move(number, positions[number].offset)

    def stop(self) -> None:
        """Leave the group, so that other members get the partitions at once."""
        if self._is_subscribed:
            self.is_leaving = True
            self._consumer.unsubscribe()
            for _ in range(_LEAVE_POLLS):
                self._consumer.poll(_LEAVE_POLL_S)
                if not self._own:
                    break

    def _read_elsewhere(self, number: int) -> int:
        """Return up to which offset others have read a partition."""
        made = self._others.get(number)
        return 0 if made is None else made.position

    def _has_been_read(self, number: int) -> bool:
        return self.ends is not None and self._read_elsewhere(number) >= self.ends[number]

    def _committed(self, numbers: Iterable[int]) -> dict[int, Progress]:
        """Return what the group has committed of partitions of the present topic."""
        asked = [TopicPartition(self._topic, number) for number in numbers]
        committed = {}
        for each in self._consumer.committed(asked, _BROKER_TIMEOUT_S) if asked else []:
            if each.error is not None:
                raise KafkaException(each.error)
            if each.offset >= 0:
                made = parse_metadata(self.topic_id, each.offset, each.metadata or "")
                if made is not None:
                    committed[each.partition] = made
        return committed

    def _start(self, numbers: Iterable[int]) -> None:
        """Begin to read partitions of ours; KafkaException if the broker does not say where."""
        committed = self._committed(numbers)
        starts = {number: committed.get(number, Progress(0, 0)) for number in numbers}
        self._on_assigned(starts)
        self._reader.add({number: made.needed for number, made in starts.items()})
        self._unstarted -= set(starts)

    def _assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        numbers = {each.partition for each in partitions}
        self._own |= numbers
        self._unstarted |= numbers
        try:
            self._start(numbers)
        except KafkaException:  # `update` tries again, and says that the broker does not answer
            consumer.incremental_assign([])

    def _revoke(self, _consumer: Consumer, partitions: list[TopicPartition], is_lost: bool = False) -> None:
        numbers = {each.partition for each in partitions}
        self._on_revoked(numbers - self._unstarted, is_lost)
        self._reader.remove(numbers - self._unstarted)
        self._own -= numbers
        self._unstarted -= numbers

    def _lose(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._revoke(consumer, partitions, is_lost=True)
