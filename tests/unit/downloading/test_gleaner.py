"""Finding the other chunks of OpenMSIStream's files."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from confluent_kafka import KafkaError, TopicPartition

from dfud.core.decode import read_chunk
from dfud.downloading.broker_state import BrokerState
from dfud.downloading.gleaner import Gleaner
from dfud.messages import BrokerOutage, Gap
from tests.helpers.downloading import Record, openmsi
from tests.helpers.topic_consumer import Event, TopicConsumer

_FIRST_MS = 10_000_000_000
_FIRST, _SECOND = openmsi(b"wanted", b"x" * 2000, 1.0)
_OTHER = openmsi(b"other", b"x" * 2000, 1.0)
_FOREIGN = Record(b"k", b"foreign", [])


class _Log(TopicConsumer):
    """Two partitions; what is asked for by time begins at `by_time`."""

    def __init__(self, records: list[Record]) -> None:
        super().__init__(records, 2)
        self.searched_ms: list[int] = []
        self.by_time: dict[int, int] = {}  # by partition; the beginning if it is not here
        self.failures: list[Event] = []

    def offsets_for_times(self, partitions: list[TopicPartition], timeout: float) -> list[TopicPartition]:
        self._ask()
        self.searched_ms.append(partitions[0].offset)
        return [TopicPartition("T", each.partition, self.by_time.get(each.partition, 0)) for each in partitions]

    def assign(self, partitions: list[TopicPartition]) -> None:
        self.unassign()
        self.incremental_assign(partitions)

    def unassign(self) -> None:
        self.positions.clear()
        self._at_end.clear()

    def consume(self, num_messages: int, timeout: float) -> list[Any]:
        failures, self.failures = self.failures, []
        return failures or super().consume(num_messages, timeout)


class _Setting:
    def __init__(self, records: list[Record], ends: dict[int, int] | None = None) -> None:
        self.consumer = _Log(records)
        self.topic = SimpleNamespace(topic_id="id", partitions=frozenset({0, 1}), ends=ends)
        self.incomplete: set[bytes] = set()
        self.taken: list[bytes] = []
        self.reported: list[Any] = []
        self.now = 0.0
        self.gleaner = Gleaner(
            lambda: self.consumer,  # type: ignore[arg-type, return-value]
            "T", self.topic, self.incomplete.__contains__, self.take,
            BrokerState("G", self.reported.append), self.reported.append, lambda: self.now,
        )  # fmt: skip

    def take(self, message: Any) -> None:
        chunk = read_chunk(message.key(), message.value(), message.headers())
        self.taken.append(chunk.path)
        if chunk.number == chunk.n_chunks:
            self.incomplete.discard(chunk.identity())

    def want(self, record: Record, timestamp_ms: int = _FIRST_MS) -> None:
        identity = read_chunk(record.key, record.value, record.headers).identity()
        self.incomplete.add(identity)
        self.gleaner.want(identity, timestamp_ms)

    def run(self, times: int = 10) -> None:
        for _ in range(times):
            self.gleaner.run_once()
            self.now += 1


def test_without_such_files_it_has_no_consumer() -> None:
    setting = _Setting([_FIRST])
    setting.run()
    assert setting.gleaner.is_done
    assert not setting.consumer.positions


def test_it_takes_the_chunks_that_are_looked_for_and_no_others_and_stops() -> None:
    setting = _Setting([_FOREIGN, *_OTHER, _FIRST, _SECOND])
    setting.want(_FIRST)
    setting.run(1)
    assert setting.taken == [b"wanted"]
    assert setting.gleaner.is_done
    setting.run(1)
    assert not setting.consumer.positions


def test_it_looks_further_and_further_back_and_then_waits() -> None:
    setting = _Setting([_FIRST, _SECOND])
    setting.consumer.by_time = {0: 2}  # after both
    setting.want(_FIRST)
    setting.run(18)
    assert setting.consumer.searched_ms == [_FIRST_MS - 60_000, _FIRST_MS - 3_600_000, _FIRST_MS - 86_400_000]
    assert not setting.taken
    setting.run(1)
    assert setting.taken == [b"wanted"], "from the beginning"


def test_with_ends_it_does_not_wait_for_what_may_come() -> None:
    setting = _Setting([_FIRST], {0: 1, 1: 0})
    setting.want(_FIRST)
    setting.run(3)
    assert not setting.gleaner.is_done
    setting.run(1)
    assert setting.gleaner.is_done


def test_what_is_wanted_after_a_search_has_passed_it_is_searched_for_again() -> None:
    setting = _Setting([*_OTHER, _FIRST], {0: 3, 1: 0})
    setting.want(_FIRST)
    setting.run()
    assert setting.gleaner.is_done
    setting.want(_OTHER[0])
    assert not setting.gleaner.is_done
    setting.run()
    assert setting.taken == [b"other"]


def test_an_earlier_file_makes_it_begin_earlier() -> None:
    setting = _Setting([_FIRST])
    setting.want(_FIRST)
    setting.want(_OTHER[0], _FIRST_MS - 120_000)
    setting.run(1)
    assert setting.consumer.searched_ms == [_FIRST_MS - 180_000]


def test_what_cannot_be_read_is_reported_if_the_file_is_not_found() -> None:
    for records in ([_FIRST, _FOREIGN, _SECOND], [_FIRST, _FOREIGN]):
        setting = _Setting(records, {0: len(records), 1: 0})
        setting.consumer.lows = {0: 1}
        setting.consumer.by_time = {0: 0}  # an answer that deletion has overtaken
        setting.want(_FIRST)
        setting.run()
        assert setting.gleaner.is_done
        gaps = [each for each in setting.reported if isinstance(each, Gap)]
        assert bool(gaps) == (_SECOND not in records)
        assert set(gaps) <= {Gap("id", 0, 0, 0, "deleted", "")}


def test_a_partition_that_is_added_is_searched_and_nothing_of_the_others_is_passed_over() -> None:
    setting = _Setting([_FIRST])
    setting.want(_FIRST)
    setting.run(30)
    setting.consumer.by_time = {0: 5}
    setting.consumer.logs[0].append(_SECOND)
    setting.consumer.logs[2] = []
    setting.topic.partitions = frozenset({0, 1, 2})
    setting.run(1)
    assert set(setting.consumer.positions) == {0, 1, 2}
    assert setting.taken == [b"wanted"]


def test_nothing_of_a_topic_that_was_made_anew_is_looked_for() -> None:
    setting = _Setting([_FIRST])
    setting.want(_FIRST)
    setting.run(1)
    setting.topic.topic_id = "new"
    setting.run(1)
    assert setting.gleaner.is_done
    assert not setting.consumer.positions


def test_a_broker_that_does_not_answer_is_asked_again() -> None:
    setting = _Setting([_FIRST, _SECOND])
    setting.consumer.outage = KafkaError(KafkaError._TRANSPORT, "connection refused")
    setting.want(_FIRST)
    setting.run(3)
    assert setting.reported == [BrokerOutage(setting.consumer.outage.str())]
    setting.consumer.outage = None
    setting.run(1)
    assert setting.taken == [b"wanted"]
    assert setting.reported[-1] == BrokerOutage("")
