"""Who has which of the candidates, by their receipts: of each receiver and path, the last one counts."""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from typing import Protocol

from dfud.core.receipt import Receipt, ReceiptKey
from dfud.receipts.required import Required, too_many_receivers
from dfud.releasing.candidates import Candidates

_MAX_RECEIVERS = 64  # whose names nobody has given: whoever may write to the topic can make them up
_NOWHERE = -1


class ReceiptMessage(Protocol):
    """A message of confluent_kafka, as far as it matters here."""

    def key(self) -> bytes | None:
        """Return the key."""

    def value(self) -> bytes | None:
        """Return the value."""

    def partition(self) -> int | None:
        """Return the partition."""

    def timestamp(self) -> tuple[int, int]:
        """Return the kind of the time, and the time in ms since 1970."""


class _Receiver:
    """What one receiver has, by the number of the candidate."""

    def __init__(self, n: int) -> None:
        self.has = bytearray(n)
        self.partitions = array("i", [_NOWHERE]) * n  # of the last receipt
        self.times = array("q", [0]) * n  # of its message


class Holders:
    """Responsible for the receipts of the receivers that are believed, of one topic.

    What was taken back, by a message without a value or by a receipt of another version, counts no more.
    """

    def __init__(self, candidates: Candidates, required: Required, topic: str, topic_id: str) -> None:
        """Take receipts of `topic`, whose present id is `topic_id`, "" if the broker does not say."""
        self._candidates = candidates
        self._required = required
        self._topic = topic
        self._mark = f'"{topic}"'.encode()  # in each key of the topic
        self._topic_id = topic_id
        self._receivers = {name: _Receiver(len(candidates)) for name in required.names}
        self.n_damaged = 0  # messages that are no receipts
        self.first_fault = ""  # of the first of them
        self.n_of_former_topic = 0  # receipts of a topic of this name that was deleted since

    def add(self, messages: Iterable[ReceiptMessage]) -> None:
        """Take messages, which are in the order of their partitions."""
        for message in messages:
            try:
                self._add(message)
            except ValueError as error:
                self.n_damaged += 1
                self.first_fault = self.first_fault or str(error)

    def _add(self, message: ReceiptMessage) -> None:
        key, value = message.key(), message.value()
        if key is not None and self._mark not in key and key.startswith(b"["):
            return  # most probably a receipt of another topic
        if value is None:
            about = ReceiptKey.decode(key)
            if about.topic == self._topic and self._required.believes(about.receiver):
                self._put(message, about.receiver, about.path, False)
            return
        receipt = Receipt.decode(key, value)
        if receipt.topic != self._topic or not self._required.believes(receipt.receiver):
            return
        is_former = bool(self._topic_id and receipt.topic_id and receipt.topic_id != self._topic_id)
        self.n_of_former_topic += is_former
        number = self._candidates.find(receipt.path)
        if number is not None:
            digest = bytes.fromhex(receipt.xxh3_128)
            has = not is_former and self._candidates.is_of(number, receipt.size, receipt.mtime_ns, digest)
            self._put(message, receipt.receiver, receipt.path, has, number)

    def _put(self, message: ReceiptMessage, name: str, path: bytes, has: bool, number: int | None = None) -> None:
        number = self._candidates.find(path) if number is None else number
        if number is None:
            return
        receiver = self._receivers.get(name)
        if receiver is None:
            if len(self._receivers) >= _MAX_RECEIVERS:
                raise too_many_receivers(_MAX_RECEIVERS)
            receiver = self._receivers[name] = _Receiver(len(self._candidates))
        partition, time_ms = message.partition() or 0, message.timestamp()[1]
        # In one partition the order tells what is later. In two there are receipts of one key only if somebody
        # chooses partitions differently, or partitions were added.
        known = receiver.partitions[number]
        if known in (_NOWHERE, partition) or time_ms >= receiver.times[number]:
            receiver.has[number], receiver.partitions[number], receiver.times[number] = has, partition, time_ms

    def forget(self, partition: int) -> None:
        """Forget what was read of a partition: what follows it cannot be read, and may have taken it back."""
        for receiver in self._receivers.values():
            for number, each in enumerate(receiver.partitions):
                if each == partition:
                    receiver.has[number] = False

    def of(self, number: int) -> list[str]:
        """Return the names of the receivers that have a candidate."""
        return [name for name, receiver in self._receivers.items() if receiver.has[number]]

    def has_all(self, number: int) -> bool:
        """Return whether all that must have a candidate have it."""
        return self._required.is_met(self.of(number))

    def lacking(self, numbers: Iterable[int]) -> dict[str, int]:
        """Return how many of the candidates each of the named receivers lacks."""
        numbers = list(numbers)
        return {
            name: lacking
            for name in sorted(self._required.names)
            if (lacking := sum(not self._receivers[name].has[number] for number in numbers))
        }
