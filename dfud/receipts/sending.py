"""Sending receipts, each until it is acknowledged, so that the last one of a key is the newest."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, NamedTuple

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from dfud.core.receipt import Receipt
from dfud.kafka.client_errors import settings_fault
from dfud.kafka.delivery_trouble import connection_reason, delivery_reason, is_too_large
from dfud.kafka.logger import silent_logger
from dfud.kafka.topic import topic_trouble

_MAX_IN_FLIGHT = 10_000  # receipts in librdkafka's queue, about 1 kB each
_MAX_AT_ONCE = 2_000  # given to it before its answers are looked at
_RETRY_S = 1.0  # after a receipt was not accepted
_DELAY_S = 5.0  # without an acknowledgement, after which the user is told why
_UNEXPLAINED = "the broker does not acknowledge them; look at its log"


class _Entry(NamedTuple):
    sequence: int  # in the order in which they were added
    number: int  # of the batch
    receipt: Receipt


class ReceiptProducer:
    """Responsible for each receipt being acknowledged, or replaced by a newer one of the same file.

    Nothing in here waits but `poll`. A receipt that the broker does not accept is sent again, as long as it takes;
    only one that is too large is given up.
    """

    def __init__(
        self,
        topic: str,
        properties: Mapping[str, Any],
        on_sent: Callable[[int], None],
        on_trouble: Callable[[str], None],
        on_refused: Callable[[Receipt, str], None],
        factory: Callable[[dict[str, Any]], Producer] = Producer,
        explain: Callable[[str, Mapping[str, Any]], str] = topic_trouble,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Send to `topic`; `on_sent` is called with the number of each batch that is settled.

        `on_trouble` gets the reason why nothing is acknowledged, and "" once something is again; `on_refused` gets
        a receipt that is given up, and why. `explain` looks at the topic if there is no other reason.
        """
        self._topic = topic
        self._properties = properties
        self._on_sent = on_sent
        self._on_trouble = on_trouble
        self._on_refused = on_refused
        self._factory = factory
        self._explain = explain
        self._clock = clock
        self._producer: Producer | None = None
        self._queue: deque[_Entry] = deque()
        self._failed: list[_Entry] = []
        self._left: dict[int, int] = {}  # receipts that are not settled, by number of the batch
        self._newest: dict[bytes, int] = {}  # the last sequence of each path that is not settled
        self._sequence = 0
        self._not_before = 0.0  # s, monotonic
        self._last_news = clock()  # of an acknowledgement, or of having nothing to send
        self._connection = ""  # what is wrong with it
        self.trouble = ""  # that was reported

    def add(self, number: int, receipts: Iterable[Receipt]) -> None:
        """Send a batch of receipts; none of them is sent before those that were added earlier."""
        if not self._left:
            self._last_news = self._clock()
        entries = [_Entry(at, number, each) for at, each in enumerate(receipts, self._sequence + 1)]
        if not entries:
            self._on_sent(number)
            return
        self._sequence += len(entries)
        self._left[number] = len(entries)
        self._newest.update({entry.receipt.path: entry.sequence for entry in entries})
        self._queue.extend(entries)
        self._fill()

    @property
    def n_unsettled(self) -> int:
        """How many receipts are not acknowledged yet."""
        return sum(self._left.values())

    def poll(self, timeout_s: float) -> None:
        """Handle acknowledgements, waiting for some if there are none, and give librdkafka more to send."""
        if self._producer is not None:
            self._producer.poll(timeout_s)
        if self._failed:
            self._queue.extendleft(sorted(self._failed, reverse=True))
            self._failed.clear()
        self._fill()
        if not self._left:
            self._last_news = self._clock()
        elif self._clock() >= self._last_news + _DELAY_S and not self.trouble:
            self._report(self._connection or self._explain(self._topic, self._properties) or _UNEXPLAINED)
            self._last_news = self._clock()

    def _fill(self) -> None:
        if not self._queue or self._clock() < self._not_before:
            return
        producer = self._producer or self._connect()
        if producer is None:
            return
        for _ in range(_MAX_AT_ONCE):
            if not self._queue or len(producer) >= _MAX_IN_FLIGHT:
                return
            entry = self._queue[0]
            is_newest = self._newest.get(entry.receipt.path) == entry.sequence
            if is_newest and not self._produce(producer, entry):
                return
            self._queue.popleft()
            if not is_newest:
                self._settle(entry)

    def _produce(self, producer: Producer, entry: _Entry) -> bool:
        """Give a receipt to librdkafka; return whether it has taken it, or never will."""
        key, value = entry.receipt.message()
        try:
            producer.produce(self._topic, value, key, on_delivery=partial(self._on_delivery, entry))
        except BufferError:
            return False
        except KafkaException as raised:
            self._on_failure(entry, raised.args[0])
        return True

    def _connect(self) -> Producer | None:
        own = {"error_cb": self._on_error, "logger": silent_logger()}
        try:
            self._producer = self._factory({**self._properties, **own})
        except KafkaException as raised:
            self._report(settings_fault(raised.args[0].str(), self._properties))
            self._not_before = self._clock() + _RETRY_S
        return self._producer

    def _on_error(self, error: KafkaError) -> None:
        self._connection = connection_reason(error, self._properties) or self._connection

    def _on_delivery(self, entry: _Entry, error: KafkaError | None, _: Message) -> None:
        if error is not None:
            self._on_failure(entry, error)
            return
        self._last_news = self._clock()
        self._connection = ""
        if self.trouble:
            self._report("")
        self._settle(entry)

    def _on_failure(self, entry: _Entry, error: KafkaError) -> None:
        reason = delivery_reason(error, self._connection, self._properties)
        if is_too_large(error):
            self._on_refused(entry.receipt, reason)
            self._settle(entry)
            return
        self._failed.append(entry)
        self._not_before = self._clock() + _RETRY_S
        self._report(reason)

    def _settle(self, entry: _Entry) -> None:
        path, number = entry.receipt.path, entry.number
        if self._newest.get(path) == entry.sequence:
            del self._newest[path]
        left = self._left[number] - 1
        if left:
            self._left[number] = left
        else:
            del self._left[number]
            self._on_sent(number)

    def _report(self, reason: str) -> None:
        if reason != self.trouble:
            self.trouble = reason
            self._on_trouble(reason)
