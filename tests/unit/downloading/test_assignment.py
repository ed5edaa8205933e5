"""Which partitions a fetcher reads, and from where."""

from __future__ import annotations

import pytest
from confluent_kafka import KafkaError, KafkaException

from dfud.core.receiver_mark import receiver_mark
from dfud.downloading.assignment import Assignment
from dfud.downloading.settings import FetchSettings
from dfud.kafka.partition_reader import PartitionReader
from tests.helpers.downloading import Record
from tests.helpers.topic_consumer import TopicConsumer

RECORDS = [Record(b"k", b"v", [], number) for number in range(5) for _ in range(10)]


def assignment(
    consumer: TopicConsumer,
    fetcher: int = 0,
    n_fetchers: int = 1,
    reset: str = "",
    ends: dict[int, int] | None = None,
) -> Assignment:
    settings = FetchSettings("DIR", "parts", "T", {"auto.offset.reset": reset}, n_fetchers, ends, "", "id")
    reader = PartitionReader(consumer, "T", ends)  # type: ignore[arg-type]
    return Assignment(consumer, reader, fetcher, settings)  # type: ignore[arg-type]


def test_partitions_are_shared_by_their_numbers() -> None:
    for fetcher, numbers in enumerate([{0, 3}, {1, 4}, {2}]):
        consumer = TopicConsumer(RECORDS, 5)
        assignment(consumer, fetcher, 3).update()
        assert set(consumer.positions) == numbers


@pytest.mark.parametrize("reset", ["earliest", "latest", ""])
def test_a_partition_is_read_from_where_the_group_has_committed(reset: str) -> None:
    consumer = TopicConsumer(RECORDS, 5)
    consumer.committed_offsets = {1: 0, 2: 7, 3: 7, 4: 7}
    consumer.committed_metadata = {2: "id", 3: "of an earlier topic", 4: "id" + receiver_mark("archive")}
    assert assignment(consumer, reset=reset).update() == consumer.positions
    assert consumer.positions == {0: 0, 1: 0, 2: 7, 3: 0, 4: 7}


def test_another_topic_is_read_up_to_its_own_ends() -> None:
    consumer = TopicConsumer(RECORDS, 5)
    own = assignment(consumer, ends=dict.fromkeys(range(5), 3))
    own.update()
    own.restart("another")
    assert consumer.positions == {}
    consumer.committed_offsets, consumer.committed_metadata = {0: 5, 1: 5}, {0: "id", 1: "another"}
    own.update()
    assert own.ends == dict.fromkeys(range(5), 10)
    assert consumer.positions == {0: 0, 1: 5, 2: 0, 3: 0, 4: 0}


def test_partitions_that_are_added_to_the_topic_are_read_unless_there_are_ends() -> None:
    growing, ending = TopicConsumer(RECORDS, 5), TopicConsumer(RECORDS, 5)
    for consumer, ends, numbers in ((growing, None, range(6)), (ending, dict.fromkeys(range(5), 10), range(5))):
        own = assignment(consumer, ends=ends)
        own.update()
        consumer.positions[0] = 3
        consumer.logs[5] = []
        own.update()
        assert set(consumer.positions) == set(numbers)
        assert consumer.positions[0] == 3, "a partition is assigned twice"
        own.stop()
        assert consumer.positions == {}


def test_nothing_is_assigned_until_the_broker_has_answered_every_question() -> None:
    consumer = TopicConsumer(RECORDS, 5)
    own = assignment(consumer)
    for question in ("list_topics", "committed"):
        broken = getattr(consumer, question)
        error = KafkaError(KafkaError._TIMED_OUT)

        def refuse(*_: object, error: KafkaError = error) -> None:
            raise KafkaException(error)

        setattr(consumer, question, refuse)
        with pytest.raises(KafkaException):
            own.update()
        assert not own.is_complete
        assert consumer.positions == {}
        setattr(consumer, question, broken)
    own.update()
    assert own.is_complete
    assert len(consumer.positions) == 5
