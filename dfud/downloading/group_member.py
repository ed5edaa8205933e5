"""A fetcher's part in a group of downloads that share a topic: what it reads, takes, commits and gives away."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from confluent_kafka import Consumer

from dfud.core.chunk import SHA512, Chunk
from dfud.core.sent import NO_TIMESTAMP, Sent
from dfud.downloading.assembler import Assembler
from dfud.downloading.broker_state import BrokerState
from dfud.downloading.commit_metadata import Progress, format_metadata, progress
from dfud.downloading.gleaner import Gleaner
from dfud.downloading.group_assignment import GroupAssignment
from dfud.downloading.kafka_message import KafkaMessage
from dfud.downloading.offsets import Position
from dfud.downloading.settings import FetchSettings
from dfud.kafka.partition_reader import PartitionReader
from dfud.messages import FromFetcher, UnfinishedElsewhere


class GroupMember:
    """Responsible for each file being completed by one member, whichever partitions the members read.

    A member takes all native files of its partitions, and those of OpenMSIStream's files whose first chunk lies
    there. What others have completed of a partition that it takes over, it leaves out.
    """

    def __init__(
        self, settings: FetchSettings, save: Callable[[], None], make_consumer: Callable[[], Consumer]
    ) -> None:
        """`save` puts all that was taken on disk and commits it, as far as possible, before it returns."""
        self._settings = settings
        self._save = save
        self._make_consumer = make_consumer
        self._starts: dict[int, Progress] = {}  # by partition, where this member began
        self._firsts: dict[bytes, Sent] = {}  # by identity of what is incomplete, its first message read here
        self._is_gleaning = False  # the message that is being taken was found by the gleaner

    def join(
        self,
        consumer: Consumer,
        reader: PartitionReader,
        positions: dict[int, Position],
        forget: Callable[[int], None],
        broker: BrokerState,
        report: Callable[[FromFetcher], None],
    ) -> GroupAssignment:
        """Return what joins the group with `consumer`, and gives its partitions to `reader`.

        It adds to `positions`, and calls `forget` for partitions that others read from then on. `broker` and
        `report` get what goes wrong where chunks are looked for.
        """
        self._positions = positions
        self._forget = forget
        self._assignment = GroupAssignment(consumer, reader, self._settings, self._on_assigned, self._on_revoked)
        self._gleaner = Gleaner(
            self._make_consumer,
            self._settings.topic,
            self._assignment,
            self._assembler.store.is_incomplete,
            self._glean,
            broker,
            report,
        )
        return self._assignment

    def take_part(self, assembler: Assembler) -> None:
        """Let `assembler`, which asks `claims` about each message, take what is this member's."""
        self._assembler = assembler

    def claims(self, chunk: Chunk, message: KafkaMessage) -> bool:
        """Return whether this member is to take a chunk."""
        if self._is_gleaning:
            return True
        identity = chunk.identity()
        if not self._starts[message.partition()].needs(message.offset(), identity):
            return False
        if chunk.algorithm == SHA512 and chunk.n_chunks > 1:
            if chunk.number > 1:
                return False
            self._gleaner.want(identity, message.timestamp()[1])
        if chunk.n_chunks > 1:
            self._firsts.setdefault(identity, Sent("", message.partition(), message.offset(), NO_TIMESTAMP))
        return True

    def committable(self) -> dict[int, Position]:
        """Return what can be committed of each partition."""
        is_incomplete = self._assembler.store.is_incomplete
        for identity in [each for each in self._firsts if not is_incomplete(each)]:
            del self._firsts[identity]
        offsets = {number: position.offset for number, position in self._positions.items()}
        topic_id = self._assignment.topic_id
        return {
            number: Position(topic_id, made.needed, format_metadata(topic_id, made))
            for number, made in progress(offsets, self._firsts.items(), self._starts).items()
        }

    def unfinished_elsewhere(self) -> list[UnfinishedElsewhere]:
        """Return the partitions of other members of which files are incomplete."""
        return [UnfinishedElsewhere(*each) for each in sorted(self._assignment.unfinished_elsewhere.items())]

    def run_once(self) -> None:
        """Look for chunks in the partitions of others, without waiting."""
        self._gleaner.run_once()

    @property
    def is_done(self) -> bool:
        """Whether nothing more is looked for in the partitions of others."""
        return self._gleaner.is_done

    def _on_assigned(self, starts: dict[int, Progress]) -> None:
        self._starts.update(starts)
        topic_id = self._assignment.topic_id
        self._positions.update({number: Position(topic_id, made.needed) for number, made in starts.items()})

    def _on_revoked(self, numbers: set[int], is_lost: bool) -> None:
        """Commit what was read of partitions that others read from now on, and drop what is incomplete of them.

        At the end of the run it stays, to be named; the next run drops it.
        """
        if not is_lost:
            self._save()
        if not self._assignment.is_leaving:
            dropped = [identity for identity, first in self._firsts.items() if first.partition in numbers]
            self._assembler.store.drop_incomplete(dropped)
            for identity in dropped:
                del self._firsts[identity]
        for number in numbers:
            self._forget(number)

    def _glean(self, message: Any) -> None:
        self._is_gleaning = True
        try:
            self._assembler.take([message])
        finally:
            self._is_gleaning = False
