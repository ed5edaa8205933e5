"""Damaged batches are skipped, each with its offsets named, and nothing around them is lost or taken twice."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from confluent_kafka import KafkaError, TopicPartition
from hypothesis import given
from hypothesis import strategies as st

from dfud.kafka.partition_reader import PartitionFailure, PartitionReader
from dfud.kafka.repairs import Repairs, Skip
from tests.helpers.fake_consumer import FakeMessage

BAD = KafkaError(KafkaError._BAD_COMPRESSION, "bad")
END = KafkaError(KafkaError._PARTITION_EOF)
NO_SUCH_OFFSET = KafkaError(KafkaError._AUTO_OFFSET_RESET)


class BatchConsumer:
    """Delivers partition 0, a list of batches: their lengths, and whether they can be read."""

    def __init__(self, batches: list[tuple[int, bool]], is_persistent: bool = True) -> None:
        self.batches: list[tuple[int, int, bool]] = []
        self.end = 0
        self.position: int | None = None
        self.has_stopped = False
        self.failures_left = 10**9 if is_persistent else 1
        for length, is_good in batches:
            self.batches.append((self.end, self.end + length, is_good))
            self.end += length

    def incremental_assign(self, partitions: list[TopicPartition]) -> None:
        self.position, self.has_stopped = partitions[0].offset, False

    def incremental_unassign(self, partitions: list[TopicPartition]) -> None:
        self.position = None

    def get_watermark_offsets(self, partition: TopicPartition, timeout: float) -> tuple[int, int]:
        return 0, self.end

    def poll(self, timeout: float) -> None:
        return None

    def is_known(self) -> bool:
        """Whether it is known by now that the topic was not made anew."""
        return True

    def consume(self, most: int, timeout: float) -> list[FakeMessage]:
        if self.has_stopped or self.position is None:
            return []
        self.has_stopped = True
        taken: list[FakeMessage] = []
        for first, end, is_good in self.batches:
            if end <= self.position:
                continue
            if not is_good and self.failures_left:
                self.failures_left -= 1
                return [*taken, FakeMessage(0, first, BAD), FakeMessage(0, first, BAD)]
            taken += [FakeMessage(0, offset) for offset in range(max(first, self.position), end)]
        return [*taken, FakeMessage(0, self.end, END)]


class ClientThatGoesOn(BatchConsumer):
    """Delivers, as librdkafka does, what follows a damaged batch in the same answer, all of it in several pieces.

    Then it fetches from what it takes for the next offset, and reports later on that there is no such offset; that
    report comes even if the partition was moved meanwhile, and ends its reading.
    """

    def __init__(self, batches: list[tuple[int, bool]], random: Random) -> None:
        super().__init__(batches)
        self._random = random
        self._answer: list[FakeMessage] = []
        self._late: list[FakeMessage] = []

    def incremental_unassign(self, partitions: list[TopicPartition]) -> None:
        super().incremental_unassign(partitions)
        self._answer = []

    def consume(self, most: int, timeout: float) -> list[FakeMessage]:
        if self._late and self._random.random() < 0.3:
            self._answer, self.has_stopped = [], True
            return [self._late.pop()]
        if not self._answer and self.position is not None and not self.has_stopped:
            self.has_stopped = True
            self._answer = self._fetch(self.position)
        count = self._random.randint(0, len(self._answer))
        taken, self._answer = self._answer[:count], self._answer[count:]
        return taken

    def is_known(self) -> bool:
        return self._random.random() < 0.3

    def _fetch(self, position: int) -> list[FakeMessage]:
        answer = []
        is_damaged = False
        for first, end, is_good in self.batches:
            if end > position and is_good:
                answer += [FakeMessage(0, offset) for offset in range(max(first, position), end)]
            elif end > position:
                answer.append(FakeMessage(0, first, BAD))
                is_damaged = True
        if is_damaged:
            self._late.append(FakeMessage(0, self._random.choice([self.end // 2, 1 << 60]), NO_SUCH_OFFSET))
            return answer
        return [*answer, FakeMessage(0, self.end, END)]


def read_all(consumer: BatchConsumer, start: int, end: int) -> tuple[list[int], list[Skip], int]:
    """Return the offsets that were read, what was skipped, and where reading ended."""
    skips: list[Skip] = []
    offsets = {0: start}

    def on_skip(skip: Skip) -> None:
        skips.append(skip)
        offsets[0] = skip.next_offset

    client: Any = consumer
    reader = PartitionReader(client, "T", {0: end})
    repairs = Repairs(client, "T", reader, offsets.__getitem__, on_skip)
    reader.add({0: start})
    read: list[int] = []
    for _ in range(1000):
        if reader.is_done and not repairs.is_busy:
            return read, skips, offsets[0]
        batch = reader.read(0.0)
        read += [message.offset() for message in repairs.filter(batch)]
        offsets.update(batch.next_offsets)
        if repairs.is_waiting and consumer.is_known():
            repairs.resume()
    raise AssertionError("it does not end")


@given(
    batches=st.lists(st.tuples(st.integers(1, 30), st.booleans()), min_size=1, max_size=8),
    start=st.integers(0, 40),
    n_later=st.integers(0, 40),
)
def test_all_that_can_be_read_is_read_once_and_the_rest_is_named(
    batches: list[tuple[int, bool]], start: int, n_later: int
) -> None:
    """The last `n_later` messages have come after reading began."""
    consumer = BatchConsumer(batches)
    last = max(0, consumer.end - n_later)
    start = min(start, last)
    read, skips, position = read_all(consumer, start, last)
    wanted = range(start, last)
    assert read == [
        n for first, end, is_good in consumer.batches for n in range(first, end) if is_good and n in wanted
    ]
    named = [offset for skip in skips for offset in range(skip.first, skip.last + 1)]
    assert sorted(read + named) == list(wanted)
    assert position == last
    assert all((skip.cause, skip.reason) == ("damaged", "bad") for skip in skips)


@given(
    batches=st.lists(st.tuples(st.integers(1, 12), st.booleans()), min_size=1, max_size=8),
    seed=st.integers(0, 1 << 32),
)
def test_what_a_client_goes_on_with_by_itself_is_no_sequel(batches: list[tuple[int, bool]], seed: int) -> None:
    consumer = ClientThatGoesOn(batches, Random(seed))
    read, skips, position = read_all(consumer, 0, consumer.end)
    assert read == [n for first, end, is_good in consumer.batches for n in range(first, end) if is_good]
    named = [offset for skip in skips for offset in range(skip.first, skip.last + 1)]
    assert sorted(read + named) == list(range(consumer.end))
    assert position == consumer.end


def test_what_fails_once_is_no_damage() -> None:
    read, skips, _ = read_all(BatchConsumer([(3, True), (3, False)], is_persistent=False), 0, 6)
    assert (read, skips) == (list(range(6)), [])


@pytest.mark.parametrize("code", [KafkaError._TRANSPORT, KafkaError.NOT_LEADER_FOR_PARTITION])
def test_other_errors_of_a_partition_are_not_repaired(code: int) -> None:
    consumer = BatchConsumer([(3, True)])
    client: Any = consumer
    reader = PartitionReader(client, "T", {0: 3})
    repairs = Repairs(client, "T", reader, {0: 0}.__getitem__, lambda _: None)
    reader.add({0: 0})
    batch = reader.read(0.0)
    batch.failures.append(PartitionFailure(0, 1, KafkaError(code), 3))
    assert [message.offset() for message in repairs.filter(batch)] == [0, 1, 2]
    assert not repairs.is_busy
