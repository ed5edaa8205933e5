"""Reading one fetcher's share of a topic without a gap that is not named."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from confluent_kafka import Consumer, KafkaException

from dfud.downloading.assignment import Assignment
from dfud.downloading.broker_state import BrokerState
from dfud.downloading.group_assignment import GroupAssignment
from dfud.downloading.group_member import GroupMember
from dfud.downloading.offsets import Position
from dfud.downloading.settings import FetchSettings
from dfud.kafka.busy_client import BusyClient
from dfud.kafka.hidden_messages import HiddenMessages
from dfud.kafka.partition_reader import Batch, PartitionReader
from dfud.kafka.read_errors import ReadError, kind_of
from dfud.kafka.repairs import Repairs, Skip
from dfud.kafka.topic_follower import TopicFollower
from dfud.kafka.topic_watch import TopicState, Watch
from dfud.messages import FromFetcher, Gap, Hidden, TopicGone, TopicReplaced

_IDLE_TIMEOUT_S = 0.25  # for the next message
_DONE_TIMEOUT_S = 0.01  # when no more messages are wanted, but the supervisor's orders are
_ASSIGN_INTERVAL_S = 1.0  # between attempts while the broker does not answer
_LOOK_INTERVAL_S = 1.0  # for what should follow and cannot be read
_REFUSED_INTERVAL_S = 5.0  # between attempts while it refuses
_TRANSACTION_PATIENCE_S, _TRANSACTION_PATIENCE_ONCE_S = 10.0, 5.0  # before an open one is reported

CONSUMER_PROPERTIES: dict[str, Any] = {
    "enable.partition.eof": True,  # it says how far reading is where the last offsets have no message
    "auto.offset.reset": "error",  # what is no longer there is named, not jumped over
}


class TopicReading:
    """Responsible for which messages are read, and for reporting those that cannot be read."""

    def __init__(
        self,
        consumer: Consumer,
        watch: Watch,
        number: int,
        settings: FetchSettings,
        broker: BrokerState,
        report: Callable[[FromFetcher], None],
        member: GroupMember | None = None,
    ) -> None:
        """Read as the fetcher with this number, or what the group of `member` gives it.

        `consumer` needs `CONSUMER_PROPERTIES`.
        """
        self.positions: dict[int, Position] = {}  # by partition, of the next message
        self._broker = broker
        self._report = report
        self._reader = PartitionReader(consumer, settings.topic, settings.ends)
        self._assignment: Assignment | GroupAssignment
        if member is None:
            self._assignment = Assignment(consumer, self._reader, number, settings)
        else:
            self._assignment = member.join(consumer, self._reader, self.positions, self._forget, broker, report)
        self._repairs = Repairs(consumer, settings.topic, self._reader, self._offset_of, self._on_skip)
        patience_s = _TRANSACTION_PATIENCE_S if settings.ends is None else _TRANSACTION_PATIENCE_ONCE_S
        self._hidden = HiddenMessages(consumer, settings.topic, patience_s)
        self._follower = TopicFollower(watch, settings.topic_id, self._on_replaced, self._on_there, self._on_gone)
        self._client = BusyClient()
        self._is_gone = False  # the topic was deleted
        self._forgotten: set[int] = set()  # partitions that were given away during the last read
        self._next_assignment = 0.0
        self._next_look = 0.0  # for what cannot be read
        self._next_attempt = 0.0  # while the broker refuses

    @property
    def topic_id(self) -> str:
        """The topic that is being read."""
        return self._assignment.topic_id

    @property
    def is_done(self) -> bool:
        """Whether everything up to the end offsets has been read or reported, and no more is wanted."""
        if self._assignment.ends is None:
            return False
        return self.has_given_up or (self._assignment.is_complete and self.has_read_own)

    @property
    def has_given_up(self) -> bool:
        """Whether a run that is to end cannot read on: there is no topic any more, or the broker refuses."""
        return self._assignment.ends is not None and (self._is_gone or self._broker.is_hopeless)

    @property
    def has_read_own(self) -> bool:
        """Whether the partitions that are read here are read up to their ends."""
        return self._reader.is_done and not self._repairs.is_busy

    @property
    def to_read(self) -> int:
        """The number of offsets up to the ends, in the partitions that are read here; 0 if there are no ends."""
        ends = self._assignment.ends or {}
        return sum(max(0, ends.get(number, 0) - each.offset) for number, each in self.positions.items())

    def stop(self) -> None:
        """Read no partition any more."""
        self._assignment.stop()

    def read(self) -> tuple[list[Any], dict[int, Position]]:
        """Return messages, and the positions after them by partition; wait a moment if there are none.

        The caller updates `positions` with the latter, once it has taken the messages.
        """
        now = time.monotonic()
        self._follow(now)
        batch = self._read_batch(_DONE_TIMEOUT_S if self.is_done else _IDLE_TIMEOUT_S)
        self._broker.on_errors(batch.errors)
        messages = self._repairs.filter(batch)
        if self._repairs.is_waiting or any(kind_of(each) is ReadError.NO_TOPIC for each in batch.errors):
            self._follower.hurry()
        if messages or batch.at_end:
            self._broker.on_read()
        fetched = self._fetched()
        if batch.messages or batch.at_end or batch.errors or self.is_done or not fetched:
            self._client.on_read()
        elif self._client.check():
            self._broker.on_stuck(fetched)
        for hidden in self._hidden.on_batch(batch):
            self._report(hidden)
        self._report_unread(now)
        return messages, {number: Position(self.topic_id, offset) for number, offset in batch.next_offsets.items()}

    def _read_batch(self, timeout_s: float) -> Batch:
        """Read messages, but none of partitions that were given to another member of the group meanwhile."""
        self._forgotten.clear()
        batch = self._reader.read(timeout_s)
        if self._forgotten:
            batch.messages[:] = [each for each in batch.messages if each.partition() not in self._forgotten]
            batch.failures[:] = [each for each in batch.failures if each.number not in self._forgotten]
            for number in self._forgotten:
                batch.next_offsets.pop(number, None)
                batch.at_end.pop(number, None)
        return batch

    def _fetched(self) -> dict[int, int]:
        """Return where the client may be reading, by partition."""
        return {each: self._offset_of(each) for each in set(self._reader.unfinished) - set(self._hidden.idle)}

    def _offset_of(self, number: int) -> int:
        return self.positions[number].offset

    def _on_skip(self, skip: Skip) -> None:
        position = self.positions[skip.partition]
        self._report(Gap(position.topic_id, skip.partition, skip.first, skip.last, skip.cause, skip.reason))
        self.positions[skip.partition] = position._replace(offset=skip.next_offset)

    def _report_unread(self, now: float) -> None:
        """Report what should follow and cannot be read; a run that is to end does not wait for it."""
        if now < self._next_look:
            return
        self._next_look = now + _LOOK_INTERVAL_S
        for number, first, last, is_there in self._hidden.due(now, self._assignment.ends):
            self._report(
                Hidden(number, first, last) if is_there else Gap(self.topic_id, number, first, last, "cut", "")
            )
            if self._assignment.ends is not None:
                self._reader.finish(number)

    def _follow(self, now: float) -> None:
        """Read the topic that is there now, and all of its partitions."""
        try:
            self._follower.run_due(now)
            if now >= self._next_assignment:
                self._assign()
            is_idle = not (self._client.is_stuck or self._repairs.is_busy)
            if self._broker.is_refused and is_idle and now >= self._next_attempt:
                self._next_attempt = now + _REFUSED_INTERVAL_S
                self._assignment.retry(self.positions)
        except KafkaException as error:
            self._broker.on_errors([error.args[0]])
            self._next_assignment = now + _ASSIGN_INTERVAL_S
            if kind_of(error.args[0]) is ReadError.NO_TOPIC:
                self._follower.hurry()

    def _assign(self) -> None:
        starts = self._assignment.update()
        self._next_assignment = time.monotonic() + self._assignment.interval_s
        for number, start in starts.items():
            self.positions[number] = Position(self.topic_id, start)
            if self._assignment.ends is not None and start > self._assignment.ends[number]:
                self._repairs.add_out_of_range(number)

    def _forget(self, number: int) -> None:
        """Forget a partition that another member of the group reads from now on."""
        self._forgotten.add(number)
        self.positions.pop(number, None)
        self._repairs.forget(number)
        self._hidden.forget(number)

    # -- the topic

    def _on_replaced(self, topic_id: str) -> None:
        self._report(TopicReplaced(topic_id))
        self.positions.clear()
        self._repairs.clear()
        self._hidden.clear()
        self._assignment.restart(topic_id)
        self._next_assignment = 0.0

    def _on_there(self, state: TopicState) -> None:
        if self._assignment.ends is None and self._assignment.missing(state.partitions):
            self._next_assignment = 0.0
        self._repairs.resume()

    def _on_gone(self, is_gone: bool) -> None:
        self._is_gone = is_gone
        self._report(TopicGone(is_gone))
