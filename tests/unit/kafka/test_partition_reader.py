"""The one loop that reads partitions: what it returns of them, where it ends, and when it waits."""

from __future__ import annotations

from typing import NamedTuple

import pytest
from confluent_kafka import KafkaError
from hypothesis import given
from hypothesis import strategies as st

from dfud.kafka.partition_reader import Batch, PartitionReader
from tests.helpers.fake_consumer import FakeConsumer, FakeMessage

TIMEOUT_S = 0.25
MAX_BATCH = 128


def reader_of(consumer: FakeConsumer, ends: dict[int, int] | None) -> PartitionReader:
    return PartitionReader(consumer, "topic", ends)  # type: ignore[arg-type]


def read_all(reader: PartitionReader) -> list[tuple[int, int]]:
    """Return partition and offset of all messages up to the ends."""
    read: list[tuple[int, int]] = []
    for _ in range(100):
        if reader.is_done:
            return read
        batch = reader.read(TIMEOUT_S)
        assert not batch.errors
        read += [(message.partition(), message.offset()) for message in batch.messages]
    raise AssertionError("the ends are not reached")


class Case(NamedTuple):
    """A partition: the offsets that have a message, and the range to read."""

    offsets: list[int]
    start: int
    end: int
    high: int


@st.composite
def cases(draw: st.DrawFn) -> Case:
    high = draw(st.integers(0, 1500))
    start, end = sorted(draw(st.tuples(st.integers(0, high), st.integers(0, high))))
    gaps = draw(st.sets(st.integers(0, high), max_size=20) | st.just(set(range(start, high))))
    return Case([offset for offset in range(high) if offset not in gaps], start, end, high)


@given(st.dictionaries(st.integers(0, 20), cases(), max_size=5))
def test_exactly_the_messages_up_to_the_ends_are_read(partitions: dict[int, Case]) -> None:
    consumer = FakeConsumer(
        {number: case.offsets for number, case in partitions.items()},
        {number: case.high for number, case in partitions.items()},
    )
    reader = reader_of(consumer, {number: case.end for number, case in partitions.items()})
    reader.assign({number: case.start for number, case in partitions.items()})
    expected = {
        (number, offset)
        for number, case in partitions.items()
        for offset in case.offsets
        if case.start <= offset < case.end
    }
    read = read_all(reader)
    assert len(read) == len(expected)
    assert set(read) == expected
    for number in partitions:
        assert [offset for of, offset in read if of == number] == sorted(o for of, o in read if of == number)


def test_a_batch_has_the_next_offset_of_each_partition() -> None:
    reader = reader_of(FakeConsumer({0: [5, 7, 9], 1: [0], 2: []}), {0: 9, 1: 10, 2: 10})
    reader.assign({0: 5, 1: 0, 2: 0})
    batch = reader.read(TIMEOUT_S)
    assert batch.next_offsets == {0: 9, 1: 1, 2: 0}
    assert [message.offset() for message in batch.messages] == [5, 7, 0]


def test_an_end_of_partition_before_the_wanted_end_is_ignored() -> None:
    """A broker that is behind may report an end that is too early; the rest is waited for."""
    consumer = FakeConsumer({0: [0, 1]})
    reader = reader_of(consumer, {0: 3})
    reader.assign({0: 0})
    assert len(reader.read(TIMEOUT_S).messages) == 2
    assert not reader.is_done
    consumer.arriving.append(FakeMessage(0, 2))
    assert len(reader.read(TIMEOUT_S).messages) == 1
    assert reader.is_done


def test_a_last_offset_without_a_message_is_reached_by_the_end_of_the_partition() -> None:
    reader = reader_of(FakeConsumer({0: [0]}, {0: 2}), {0: 2})
    reader.assign({0: 0})
    assert reader.read(TIMEOUT_S).next_offsets == {0: 2}
    assert reader.is_done


def test_a_partition_that_starts_at_its_end_needs_no_reading() -> None:
    reader = reader_of(FakeConsumer({0: [0, 1], 1: []}), {0: 2, 1: 0})
    reader.assign({0: 2, 1: 0})
    assert reader.is_done


def test_only_the_first_message_is_waited_for() -> None:
    consumer = FakeConsumer({0: [0, 1]}, {0: 2})
    reader = reader_of(consumer, None)
    reader.add({0: 0})
    assert len(reader.read(7.5).messages) == 2
    assert consumer.timeouts == []
    consumer.arriving.append(FakeMessage(0, 2))
    assert [message.offset() for message in reader.read(7.5).messages] == [2]
    assert reader.read(0.5) == Batch([], {}, [], [], {})
    assert consumer.timeouts == [7.5, 0.5]


def test_without_ends_reading_is_never_done() -> None:
    consumer = FakeConsumer({0: list(range(3 * MAX_BATCH))})
    reader = reader_of(consumer, None)
    assert not reader.is_done
    reader.add({0: 0})
    assert sum(len(reader.read(TIMEOUT_S).messages) for _ in range(10)) == 3 * MAX_BATCH
    assert not reader.is_done


def test_errors_are_returned_beside_the_messages() -> None:
    consumer = FakeConsumer({0: [0]})
    error = KafkaError(KafkaError._TRANSPORT)
    consumer.failures = [FakeMessage(0, -1001, error), FakeMessage(-1, -1001, error)]
    reader = reader_of(consumer, {0: 1})
    reader.assign({0: 0})
    batch = reader.read(TIMEOUT_S)
    assert batch.errors == [error, error]
    assert [message.offset() for message in batch.messages] == [0]


def test_partitions_are_added_and_removed() -> None:
    consumer = FakeConsumer({0: [0], 1: [0, 1], 2: [0]})
    reader = reader_of(consumer, {0: 1, 1: 2, 2: 1})
    reader.add({0: 0})
    assert read_all(reader) == [(0, 0)]
    reader.add({1: 1, 2: 1})  # the latter is at its end
    assert not reader.is_done
    assert read_all(reader) == [(1, 1)]
    reader.remove([0, 1, 2])
    assert consumer.positions == {}
    assert [name for name, _ in consumer.calls] == ["incremental_assign"] * 2 + ["incremental_unassign"]


def test_a_removed_partition_is_not_waited_for() -> None:
    reader = reader_of(FakeConsumer({0: [], 1: []}), {0: 1, 1: 1})
    reader.add({0: 0, 1: 0})
    reader.remove([0])
    assert not reader.is_done
    reader.remove([1])
    assert reader.is_done


def test_assigning_again_begins_again() -> None:
    consumer = FakeConsumer({0: [0, 1], 1: [0]})
    reader = reader_of(consumer, {0: 2, 1: 1})
    for _ in range(2):
        reader.assign({0: 0, 1: 0})
        assert sorted(read_all(reader)) == [(0, 0), (0, 1), (1, 0)]
    reader.assign({0: 0})
    reader.assign({1: 0})
    assert read_all(reader) == [(1, 0)]


def test_a_partition_without_an_end_is_an_error() -> None:
    reader = reader_of(FakeConsumer({0: [], 1: []}), {0: 1})
    with pytest.raises(KeyError):
        reader.assign({1: 0})
