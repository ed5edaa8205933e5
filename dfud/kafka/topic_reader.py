"""Reading partitions up to their ends without a gap that is not named, for what commits no offsets."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from confluent_kafka import Consumer, KafkaError, KafkaException

from dfud.errors import DfudError
from dfud.kafka.busy_client import BusyClient, stuck_text
from dfud.kafka.hidden_messages import HiddenMessages
from dfud.kafka.partition_reader import PartitionReader
from dfud.kafka.read_errors import ReadError, kind_of
from dfud.kafka.repairs import Repairs, Skip
from dfud.messages import Gap

_TRANSACTION_PATIENCE_S = 5.0  # before an open one is reported
_REPAIRED = (ReadError.DAMAGED, ReadError.OUT_OF_RANGE)

READER_PROPERTIES: dict[str, Any] = {
    "enable.partition.eof": True,  # it says how far reading is where the last offsets have no message
    "auto.offset.reset": "error",  # what is no longer there is named, not jumped over
}


class Read(NamedTuple):
    """What one call of `TopicReader.read` returns."""

    messages: list[Any]  # in the order of each partition
    errors: list[KafkaError]  # all but those that are repaired


class TopicReader:
    """Responsible for reading on after what cannot be read, and for naming it.

    `consumer` needs `READER_PROPERTIES`, and belongs to the caller.
    """

    def __init__(
        self,
        consumer: Consumer,
        topic: str,
        ends: Mapping[int, int] | None,
        on_gap: Callable[[Gap], None],
        resumes: bool = True,
    ) -> None:
        """Read `topic` up to `ends`, as `PartitionReader` does; the gaps that `on_gap` gets state no topic id.

        Unless it `resumes` by itself, the caller does so, once it knows that the topic was not made anew.
        """
        self._topic = topic
        self._ends = ends
        self._on_gap = on_gap
        self._offsets: dict[int, int] = {}  # by partition, of the next message
        self._reader = PartitionReader(consumer, topic, ends)
        self._repairs = Repairs(consumer, topic, self._reader, self._offsets.__getitem__, self._on_skip)
        self._hidden = HiddenMessages(consumer, topic, _TRANSACTION_PATIENCE_S)
        self._client = BusyClient()
        self._resumes = resumes

    def assign(self, starts: Mapping[int, int]) -> None:
        """Read these partitions from these offsets, and no others."""
        self._repairs.clear()
        self._hidden.clear()
        self._offsets.clear()
        self._offsets.update(starts)
        self._reader.assign(starts)

    def add(self, starts: Mapping[int, int]) -> None:
        """Read these partitions from these offsets, too."""
        self._offsets.update(starts)
        self._reader.add(starts)

    @property
    def is_waiting(self) -> bool:
        """Whether `resume` is to be called."""
        return self._repairs.is_waiting

    def resume(self) -> None:
        """Go on in the partitions that do not have the offset to be read next."""
        with contextlib.suppress(KafkaException):  # the broker is away: the next call asks again
            self._repairs.resume()

    @property
    def is_done(self) -> bool:
        """Whether all has been read up to the ends, or was named."""
        return self._reader.is_done and not self._repairs.is_busy

    @property
    def unread(self) -> set[int]:
        """The partitions that have not been read as far as possible."""
        return set(self._reader.unfinished) - set(self._hidden.at_end)

    @property
    def positions(self) -> dict[int, int]:
        """By partition, the offset of the next message."""
        return dict(self._offsets)

    def read(self, timeout_s: float) -> Read:
        """Return what has been fetched; wait up to `timeout_s` for the first message if there is none.

        Raises DfudError if librdkafka is stuck at a batch.
        """
        batch = self._reader.read(timeout_s)
        messages = self._repairs.filter(batch)
        self._offsets.update(batch.next_offsets)
        self._hidden.on_batch(batch)
        fetched = self._fetched()
        if batch.messages or batch.at_end or batch.errors or not fetched:
            self._client.on_read()
        elif self._client.check():
            raise DfudError(f"cannot read topic {self._topic}: {stuck_text(fetched)}")
        if self._resumes and self.is_waiting:
            self.resume()
        if not messages and self._ends is not None:
            self._name_unread(self._ends)
        return Read(messages, [error for error in batch.errors if kind_of(error) not in _REPAIRED])

    def _fetched(self) -> dict[int, int]:
        """Return where the client may be reading, by partition."""
        return {each: self._offsets[each] for each in set(self._reader.unfinished) - set(self._hidden.idle)}

    def _name_unread(self, ends: Mapping[int, int]) -> None:
        """Give up what was there at the start, and cannot be read any more."""
        for number, first, last, is_there in self._hidden.due(time.monotonic(), ends):
            self._on_gap(Gap("", number, first, last, "hidden" if is_there else "cut", ""))
            self._reader.finish(number)

    def _on_skip(self, skip: Skip) -> None:
        self._on_gap(Gap("", skip.partition, skip.first, skip.last, skip.cause, skip.reason))
        self._offsets[skip.partition] = skip.next_offset
