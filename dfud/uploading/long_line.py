"""More Kafka producers for a lane whose broker is far away: what one of them may have under way is too little.

An idempotent producer of librdkafka sends a partition nothing while five messages of it are under way, or more: it
means five requests (https://github.com/confluentinc/librdkafka/pull/4989). So it carries a batch, of 1 MB, a round
trip, and its thread spins while more than that waits. Several producers take turns: each gets a batch, and nothing
more until that is acknowledged.
"""

from __future__ import annotations

import mmap
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from confluent_kafka import Producer

from dfud.kafka.properties import batch_limit, is_idempotent, message_bytes_needed

_ROUND_TRIP_S = 0.003  # for which a producer more is worth its connection: so many fill 1 Gbit/s
_SHORT_S = 0.015  # up to which one will do: a busy broker that is near takes as long to answer
_MAX_PRODUCERS = 32
_FIRST_PRODUCERS = 8  # that a lane begins with, at most: to begin with all takes longer
_MAX_UNDER_WAY = 5  # messages of a partition
_SHARE_OF_BATCH = 0.7  # of small messages: those of a turn differ in number from partition to partition
_QUEUE = "queue.buffering.max.kbytes"


class LongLine(NamedTuple):
    """How the lanes of an upload send over a long line."""

    n_producers: int  # of each lane
    turn_bytes: int  # that a producer gets at a time, at most; so many of a file are read at once
    turn_messages: int  # that it gets, at most
    properties: Mapping[str, Any]  # of librdkafka, which differ from those of a single producer

    @property
    def n_beside_others(self) -> int:
        """How many of its producers a lane uses while others have something to send."""
        return self.n_producers // 2

    @property
    def n_first(self) -> int:
        """How many producers a lane begins with; it makes the others when they are of use."""
        return min(_FIRST_PRODUCERS, self.n_beside_others)


def long_line(
    round_trip_s: float, properties: Mapping[str, Any], chunk_size: int, more_bytes: int, n_partitions: int
) -> LongLine | None:
    """Return how to send if a request takes `round_trip_s` (0 if not known); None if one producer a lane will do.

    `properties` are librdkafka's: a producer that is not idempotent has many batches under way. Each message has a
    chunk of `chunk_size` and `more_bytes` of headers besides those of dfud; the topic has `n_partitions`.
    """
    if round_trip_s < _SHORT_S or not is_idempotent(properties):
        return None
    batch_bytes = batch_limit(properties)
    room = int(properties.get(_QUEUE, 0)) * 1024 // batch_bytes
    n_producers = min(int(round_trip_s / _ROUND_TRIP_S), _MAX_PRODUCERS, room)
    if n_producers < 2:
        return None
    fitting = batch_bytes // message_bytes_needed(chunk_size, more_bytes)
    full = fitting if fitting > _MAX_UNDER_WAY else 1  # messages of a batch that is sent at once
    if full == 1:
        turn_bytes = -(-batch_bytes // chunk_size) * chunk_size
        return LongLine(n_producers, turn_bytes, _MAX_UNDER_WAY, {"batch.num.messages": 1})
    # Chunks of one file are for one partition, small messages for all of them. What is more than a batch for one
    # waits for a round trip.
    n_messages = max(full, int(full * n_partitions * _SHARE_OF_BATCH))
    return LongLine(n_producers, full * chunk_size, n_messages, {"batch.num.messages": full})


class SharedLine:
    """A long line, and which lanes have something to send over it: memory that all lanes share.

    It is made before the processes are forked. Each lane sets a byte of its own, which needs no lock.
    """

    def __init__(self, line: LongLine, n_lanes: int) -> None:
        self.line = line
        self._busy = memoryview(mmap.mmap(-1, n_lanes))

    def set_busy(self, lane: int, is_busy: bool) -> None:
        """Note whether a lane has something to send, or waits for an acknowledgement."""
        self._busy[lane] = is_busy

    @property
    def n_producers(self) -> int:
        """How many producers a lane may use now, which has something to send."""
        return self.line.n_producers if sum(self._busy) < 2 else self.line.n_beside_others


class Turns:
    """Responsible for whose turn it is, of Kafka producers that have one batch under way each."""

    def __init__(self, line: SharedLine, lane: int) -> None:
        self.line = line.line
        self._shared = line
        self._lane = lane
        self.on_waiting(False)
        self._bytes = self._messages = 0  # that are left of the turn
        self.number = 0  # of the producer whose turn it is
        self._parts: set[int] = set()  # of producers that had less than a whole turn since `pop_held`

    def take(self, producers: Sequence[Producer], length: int, window: int) -> bool:
        """Count a message of `length` bytes; return False if all that may be used have a turn's under way.

        While the `window` (bytes) is small, all get a part of it, so that TCP opens their connections together.
        """
        if not self._messages or self._bytes < length:
            self.on_waiting(True)
            usable = producers[: self._shared.n_producers]
            free = next((number for number, producer in enumerate(usable) if not len(producer)), None)
            if free is None:
                return False
            self.number = free
            self._messages = self.line.turn_messages
            self._bytes = max(length, min(self.line.turn_bytes, window // len(usable)))
            if self._bytes < self.line.turn_bytes:
                self._parts.add(free)
        self._messages -= 1
        self._bytes -= length
        return True

    def pop_held(self) -> set[int]:
        """Return the numbers of the producers that may keep messages back, and forget them: they are flushed."""
        held, self._parts = {*self._parts, self.number}, set()
        return held

    def is_dealt(self, window: int) -> bool:
        """Return whether producers get less than they could, because the `window` (bytes) is small."""
        return window < self._shared.n_producers * self.line.turn_bytes

    def on_waiting(self, is_waiting: bool) -> None:
        """Note whether the lane has something to send, or waits for an acknowledgement."""
        self._shared.set_busy(self._lane, is_waiting)

    def end(self) -> None:
        """End the turn: what the producer has got is about to be sent."""
        self._messages = 0


class VersionOrder:
    """Says before which files everything has to be acknowledged: those that may follow a version of their own.

    Messages of two producers reach a partition in any order, and the version that is last on the topic counts.
    """

    _MAX_PATHS = 10_000  # that are remembered

    def __init__(self) -> None:
        self._begun: set[bytes] = set()  # paths, since everything was acknowledged

    def has_to_wait(self, path: bytes) -> bool:
        """Return whether a file that begins has to wait until everything before it is acknowledged."""
        waits = path in self._begun or len(self._begun) >= self._MAX_PATHS
        if waits:
            self._begun.clear()
        self._begun.add(path)
        return waits
