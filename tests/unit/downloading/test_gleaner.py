"""Finding the other chunks of OpenMSIStream's files."""

from __future__ import annotations

from typing import Any

from confluent_kafka import OFFSET_BEGINNING, KafkaError, TopicPartition

from dfud.core.decode import read_chunk
from dfud.downloading.gleaner import Gleaner
from tests.helpers.downloading import Record, openmsi

_FIRST_MS = 10_000_000_000


class _Message:
    def __init__(self, record: Record, offset: int = 0) -> None:
        self._record, self._offset = record, offset

    def error(self) -> KafkaError | None:
        return None

    def key(self) -> bytes | None:
        return self._record.key

    def value(self) -> bytes | None:
        return self._record.value

    def headers(self) -> Any:
        return self._record.headers

    def partition(self) -> int:
        return self._record.partition

    def offset(self) -> int:
        return self._offset


class _End:
    def __init__(self, partition: int) -> None:
        self._partition = partition

    def error(self) -> KafkaError:
        return KafkaError(KafkaError._PARTITION_EOF)

    def partition(self) -> int:
        return self._partition


class _Consumer:
    """Two partitions; what it is asked for, and what it is told to return."""

    def __init__(self) -> None:
        self.starts: list[int] = []  # of partition 0, a time or an offset, for each assignment
        self.ready: list[Any] = []
        self.is_assigned = False

    def list_topics(self, _topic: str, _timeout: float) -> Any:
        class Topic:
            partitions = (0, 1)

        class Metadata:
            def __init__(self) -> None:
                self.topics = {"topic": Topic}

        return Metadata()

    def offsets_for_times(self, partitions: list[TopicPartition], _timeout: float) -> list[TopicPartition]:
        return partitions

    def assign(self, partitions: list[TopicPartition]) -> None:
        self.starts.append(partitions[0].offset)
        self.is_assigned = True

    def unassign(self) -> None:
        self.is_assigned = False

    def consume(self, _number: int, _timeout: float) -> list[Any]:
        ready, self.ready = self.ready, []
        return ready


class _Setting:
    def __init__(self, ends: dict[int, int] | None = None) -> None:
        self.consumer = _Consumer()
        self.parts: set[bytes] = set()
        self.taken: list[Any] = []
        self.now = 0.0
        self.gleaner = Gleaner(
            lambda: self.consumer,  # type: ignore[arg-type, return-value]
            "topic", ends, self.parts, self.taken.append, lambda: self.now,
        )  # fmt: skip

    def want(self, record: Record) -> bytes:
        identity = read_chunk(record.key, record.value, record.headers).identity()
        self.parts.add(identity)
        self.gleaner.want(identity, _FIRST_MS)
        return identity

    def reach_ends(self) -> None:
        self.consumer.ready = [_End(0), _End(1)]
        self.gleaner.run_once()


def test_without_such_files_it_has_no_consumer() -> None:
    setting = _Setting()
    setting.gleaner.run_once()
    assert setting.gleaner.is_done
    assert not setting.consumer.starts


def test_it_takes_the_chunks_that_are_looked_for_and_no_others() -> None:
    setting = _Setting()
    first, second = openmsi(b"wanted", b"x" * 2000, 1.0)
    other = openmsi(b"other", b"x" * 2000, 1.0)[1]
    setting.want(first)
    messages = [_Message(second), _Message(other), _Message(Record(b"k", b"foreign", []))]
    setting.consumer.ready = list(messages)
    setting.gleaner.run_once()
    assert setting.taken == messages[:1]


def test_it_stops_when_they_are_complete() -> None:
    setting = _Setting()
    setting.want(openmsi(b"wanted", b"x" * 2000, 1.0)[0])
    setting.gleaner.run_once()
    setting.parts.clear()
    assert setting.gleaner.is_done
    setting.gleaner.run_once()
    assert not setting.consumer.is_assigned


def test_it_looks_further_and_further_back_and_then_waits() -> None:
    setting = _Setting()
    setting.want(openmsi(b"wanted", b"x" * 2000, 1.0)[0])
    setting.gleaner.run_once()
    for _ in range(5):
        setting.reach_ends()
        assert not setting.gleaner.is_done or len(setting.consumer.starts) == 4
        setting.now += 6
        setting.gleaner.run_once()
    assert setting.consumer.starts == [
        _FIRST_MS - 60_000, _FIRST_MS - 3_600_000, _FIRST_MS - 86_400_000, OFFSET_BEGINNING,
    ]  # fmt: skip


def test_with_ends_it_does_not_wait_for_what_may_come() -> None:
    setting = _Setting({0: 5, 1: 5})
    setting.want(openmsi(b"wanted", b"x" * 2000, 1.0)[0])
    setting.gleaner.run_once()
    for _ in range(4):
        setting.reach_ends()
    assert setting.consumer.starts[-1] == OFFSET_BEGINNING
    assert setting.gleaner.is_done


def test_an_earlier_file_makes_it_begin_earlier() -> None:
    setting = _Setting()
    setting.want(openmsi(b"one", b"x" * 2000, 1.0)[0])
    setting.gleaner.run_once()
    chunk = openmsi(b"two", b"x" * 2000, 1.0)[0]
    identity = read_chunk(chunk.key, chunk.value, chunk.headers).identity()
    setting.parts.add(identity)
    setting.gleaner.want(identity, _FIRST_MS - 120_000)
    setting.gleaner.run_once()
    assert setting.consumer.starts == [_FIRST_MS - 60_000, _FIRST_MS - 180_000]
