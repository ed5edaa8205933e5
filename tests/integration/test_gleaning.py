"""Where OpenMSIStream's chunks are looked for, on a real topic that loses some, hides some, or grows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from dfud.broker.node import KafkaNode
from dfud.core.decode import read_chunk
from dfud.downloading.broker_state import BrokerState
from dfud.downloading.gleaner import Gleaner
from dfud.kafka.topic_reader import READER_PROPERTIES
from dfud.messages import Gap
from tests.helpers.downloading import Record, openmsi, produce
from tests.helpers.topics import add_partitions, delete_before
from tests.helpers.uploading import wait_until

FIRST, *REST = openmsi(b"wanted", b"w" * 4_000, 1e9, partitions=4)  # one chunk in each partition
OTHER = openmsi(b"other", b"o" * 4_000, 1e9, partitions=4)
ANSWER_S = 30.0


class _Overtaken(Consumer):
    """A consumer that begins to read only after something has happened where it was told to begin."""

    meanwhile: Callable[[], None] | None = None

    def assign(self, partitions: list[TopicPartition]) -> None:
        if self.meanwhile is not None:
            self.meanwhile()
            self.meanwhile = None
        super().assign(partitions)


class _Search:
    """A search for the first file, whose first chunk has been read, without the patience of real time."""

    def __init__(self, kafka: KafkaNode, topic: str, ends: dict[int, int] | None = None) -> None:
        settings = {"bootstrap.servers": kafka.bootstrap, "group.id": "none", "fetch.wait.max.ms": 50}
        self.consumer = _Overtaken({**settings, **READER_PROPERTIES})
        self.topic = SimpleNamespace(topic_id="id", partitions=frozenset(range(4)), ends=ends)
        self.missing = {each.value for each in REST}
        self.reported: list[Any] = []
        self._now = 0.0
        self.gleaner = Gleaner(
            lambda: self.consumer, topic, self.topic, lambda _: bool(self.missing), self._take,
            BrokerState("none", self.reported.append), self.reported.append, self._clock,
        )  # fmt: skip
        identity = read_chunk(FIRST.key, FIRST.value, FIRST.headers).identity()
        self.gleaner.want(identity, 1_000_000_000_000)

    def _clock(self) -> float:
        self._now += 1
        return self._now

    def _take(self, message: Any) -> None:
        self.missing.discard(message.value())

    def run_until(self, condition: Callable[[], bool]) -> None:
        def is_met() -> bool:
            self.gleaner.run_once()
            return condition()

        wait_until(is_met, 20.0)


@pytest.fixture
def searching(kafka: KafkaNode, topic: str) -> Iterator[Callable[..., _Search]]:
    """A factory of searches whose consumers are closed."""
    made = []

    def make(ends: dict[int, int] | None = None) -> _Search:
        made.append(_Search(kafka, topic, ends))
        return made[-1]

    yield make
    for each in made:
        each.gleaner.close()


def test_a_search_ends_if_what_it_reads_is_deleted_meanwhile(
    kafka: KafkaNode, topic: str, searching: Callable[..., _Search]
) -> None:
    produce(kafka.bootstrap, topic, [FIRST, *OTHER, *OTHER])
    search = searching({0: 2, 1: 3, 2: 2, 3: 2})
    search.consumer.meanwhile = lambda: delete_before(kafka, topic, 1, partition=2)
    search.run_until(lambda: search.gleaner.is_done)
    assert search.reported == [Gap("id", 2, 0, 0, "deleted", "")]


def test_a_search_ends_if_an_aborted_transaction_has_what_it_wants(
    kafka: KafkaNode, topic: str, searching: Callable[..., _Search]
) -> None:
    sender = Producer({"bootstrap.servers": kafka.bootstrap, "transactional.id": topic})
    sender.init_transactions(ANSWER_S)
    sender.begin_transaction()
    for key, value, _, partition in REST:
        sender.produce(topic, value, key, partition)
    sender.flush()
    sender.abort_transaction()
    search = searching({0: 2, 1: 0, 2: 2, 3: 2})
    search.run_until(lambda: search.gleaner.is_done)
    assert len(search.missing) == len(REST)
    assert not search.reported


def test_a_file_is_found_whatever_happens_to_the_topic_after_all_was_searched(
    kafka: KafkaNode, topic: str, searching: Callable[..., _Search]
) -> None:
    produce(kafka.bootstrap, topic, [FIRST])
    search = searching()
    search.run_until(lambda: search.gleaner.is_done)
    emptied = [TopicPartition(topic, 2)]
    search.consumer.pause(emptied)
    produce(kafka.bootstrap, topic, OTHER)
    delete_before(kafka, topic, 1, partition=2)
    search.consumer.resume(emptied)
    search.run_until(lambda: bool(search.reported))
    assert search.reported == [Gap("id", 2, 0, 0, "deleted", "")]
    add_partitions(kafka.bootstrap, topic, 5)
    search.topic.partitions = frozenset(range(5))
    moved: list[Record] = [REST[0], REST[1]._replace(partition=4), REST[2]]
    produce(kafka.bootstrap, topic, moved)
    search.run_until(lambda: not search.missing)
