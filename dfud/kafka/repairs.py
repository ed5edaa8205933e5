"""Partitions that cannot be read on: what is gone or damaged is named and skipped."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from dfud.kafka.damage_search import DamageSearch
from dfud.kafka.partition_reader import Batch, PartitionFailure, PartitionReader
from dfud.kafka.read_errors import ReadError, kind_of
from dfud.messages import GapCause

_BROKER_TIMEOUT_S = 5.0
_SILENCE_S = 3.0  # librdkafka reports a batch of an unknown format once, and says nothing when it gets it again

_OF_BATCH = (KafkaError._BAD_MSG, KafkaError._BAD_COMPRESSION, KafkaError._NOT_IMPLEMENTED)  # have its offset
_NONE = 1 << 63  # greater than any number of messages


class Skip(NamedTuple):
    """Offsets of a partition that cannot be read, and where reading goes on instead."""

    partition: int
    first: int
    last: int  # inclusive
    cause: GapCause
    reason: str  # of librdkafka; "" if the cause says all
    next_offset: int


class _Search(NamedTuple):
    search: DamageSearch
    reason: str
    is_silent: bool  # whether a probe that fails may bring nothing at all


class Repairs:
    """Responsible for going on after each offset that cannot be read, and for naming what was not read."""

    def __init__(
        self,
        consumer: Consumer,
        topic: str,
        reader: PartitionReader,
        offset_of: Callable[[int], int],
        on_skip: Callable[[Skip], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`offset_of` returns the offset to be read next of a partition, which `on_skip` has to change."""
        self._consumer = consumer
        self._topic = topic
        self._reader = reader
        self._offset_of = offset_of
        self._on_skip = on_skip
        self._clock = clock
        self._searches: dict[int, _Search] = {}
        self._heard: dict[int, float] = {}  # when each of these has last begun to read
        self._out_of_range: set[int] = set()

    @property
    def is_busy(self) -> bool:
        """Whether a partition is not being read on yet."""
        return bool(self._searches or self._out_of_range)

    @property
    def is_waiting(self) -> bool:
        """Whether `resume` is to be called, once it is known that the topic was not made anew."""
        return bool(self._out_of_range)

    def clear(self) -> None:
        """Forget all: the topic was made anew."""
        self._searches.clear()
        self._out_of_range.clear()

    def forget(self, number: int) -> None:
        """Forget a partition, which is no longer read here."""
        self._searches.pop(number, None)
        self._out_of_range.discard(number)

    def add_out_of_range(self, number: int) -> None:
        """Go on, with `resume`, in a partition that does not have the offset to be read next."""
        self._searches.pop(number, None)
        self._out_of_range.add(number)

    # -- damaged batches

    def filter(self, batch: Batch) -> list[Any]:
        """Return the messages of `batch` that are to be taken; its other fields are changed accordingly."""
        if not (batch.failures or self.is_busy):
            return batch.messages
        unfinished = self._reader.unfinished
        failures = [each for each in batch.failures if each.number in unfinished]
        # By partition, how many messages of the batch may be taken: none while it is not read on.
        limits = dict.fromkeys([*self._searches, *self._out_of_range], 0)
        for number in list(self._searches):
            self._on_probe(number, next((each for each in failures if each.number == number), None), batch)
        for number in limits:
            batch.next_offsets.pop(number, None)
            batch.at_end.pop(number, None)
        for failure in failures:
            number, kind = failure.number, kind_of(failure.error)
            if number in limits:  # a repair has begun
                continue
            if kind is ReadError.DAMAGED:
                limits[number] = failure.n_before
                self._on_damage(failure, batch)
            elif kind is ReadError.OUT_OF_RANGE:
                self.add_out_of_range(number)
            elif number in batch.next_offsets:
                self._reader.on_position(number, batch.next_offsets[number])
        return [m for n, m in enumerate(batch.messages) if n < limits.get(m.partition(), _NONE)]

    def _on_damage(self, failure: PartitionFailure, batch: Batch) -> None:
        """Handle damage behind what has been read of a partition."""
        number = failure.number
        batch.next_offsets.pop(number, None)
        batch.at_end.pop(number, None)
        read = _offsets(batch.messages[: failure.n_before], number)
        if read:
            batch.next_offsets[number] = max(read) + 1
        if failure.offset >= self._reader.end_of(number):
            self._on_later_damage(failure)
        else:
            self._begin(failure, max([self._offset_of(number), *(offset + 1 for offset in read)]))

    def _on_later_damage(self, failure: PartitionFailure) -> None:
        """Handle damage that seems to lie behind all that is to be read."""
        number, high = failure.number, -1
        with contextlib.suppress(KafkaException):  # the broker is away
            _, high = self._watermarks(number)
        if failure.offset <= high:
            self._reader.finish(number)
        else:  # what librdkafka takes from a damaged batch for an offset may be garbage
            self.add_out_of_range(number)

    def _begin(self, failure: PartitionFailure, position: int) -> None:
        """Search the end of the damage that begins at `failure` or, if that is later, at `position`."""
        number, first = failure.number, max(failure.offset, position)
        try:
            _, high = self._watermarks(number)
        except KafkaException:  # it fails again, and then perhaps the broker answers
            self._reader.move(number, first)
            return
        is_silent = failure.error.code() == KafkaError._NOT_IMPLEMENTED
        self._out_of_range.discard(number)
        self._searches[number] = _Search(
            DamageSearch(first, min(high, self._reader.end_of(number))), failure.error.str(), is_silent
        )
        self._go_on(number)

    def _on_probe(self, number: int, failure: PartitionFailure | None, batch: Batch) -> None:
        """Handle what came of reading from a probe, if anything did."""
        search, _, is_silent = self._searches[number]
        kind = kind_of(failure.error) if failure is not None else None
        read = _offsets(batch.messages if failure is None else batch.messages[: failure.n_before], number)
        if failure is not None and kind is ReadError.OUT_OF_RANGE and failure.offset == search.probe:
            self.add_out_of_range(number)
        elif kind is ReadError.OUT_OF_RANGE:
            # After a damaged batch librdkafka also fetches from what it takes for the next offset: garbage. That
            # there is no such offset comes even if the partition was moved meanwhile, and ends its reading.
            self._go_on(number)
        elif failure is not None and kind is ReadError.DAMAGED and not read:
            search.on_failure(failure.offset if failure.error.code() in _OF_BATCH else search.first)
            self._go_on(number)
        elif read or number in batch.at_end:
            search.on_success()
            self._go_on(number)
        elif is_silent and self._clock() > self._heard[number] + _SILENCE_S:
            search.on_failure(search.first)
            self._go_on(number)

    def _go_on(self, number: int) -> None:
        search, reason, _ = self._searches[number]
        self._heard[number] = self._clock()
        if search.is_over:
            del self._searches[number]
            if search.probe > search.first:
                self._on_skip(Skip(number, search.first, search.probe - 1, "damaged", reason, search.probe))
        self._reader.move(number, search.probe)

    # -- offsets that are not there

    def resume(self) -> None:
        """Go on in the partitions whose next offset is not there; KafkaException if the broker does not answer."""
        for number in list(self._out_of_range):
            low, high = self._watermarks(number)
            offset = self._offset_of(number)
            if offset < low:
                self._on_skip(Skip(number, offset, low - 1, "deleted", "", low))
            elif offset > high:
                self._on_skip(Skip(number, high, offset - 1, "cut", "", low))
            self._out_of_range.discard(number)
            self._reader.move(number, self._offset_of(number))

    def _watermarks(self, number: int) -> tuple[int, int]:
        low, high = self._consumer.get_watermark_offsets(TopicPartition(self._topic, number), _BROKER_TIMEOUT_S)
        return int(low), int(high)


def _offsets(messages: list[Any], number: int) -> list[int]:
    """Return the offsets of a partition's messages."""
    return [message.offset() for message in messages if message.partition() == number]
