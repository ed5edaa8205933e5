"""What receivers have of a topic, by their receipts, in so little memory that millions of files are no matter."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from dfud.core.receipt import Receipt, ReceiptKey
from dfud.core.version import PATH_KEY_BYTES, path_key
from dfud.logs.completed.index import IDENTITY_BYTES, RecordIndex
from dfud.receipts.required import too_many_receivers

_RECORD_BYTES = IDENTITY_BYTES + 16  # with the digest
_MAX_RECEIVERS = 64  # whose names nobody has given: whoever may write to the topic can make them up


class ReceiptMessage(Protocol):
    """A message of confluent_kafka, as far as it matters here."""

    def key(self) -> bytes | None:
        """Return the key."""

    def value(self) -> bytes | None:
        """Return the value."""


class _Receiver:
    def __init__(self) -> None:
        self.versions = RecordIndex((), PATH_KEY_BYTES, _RECORD_BYTES)  # the last of each path
        self.last = ""  # when it put a file in its place last


class Received:
    """Responsible for the receipts of one topic: of each receiver and path the last one counts.

    The messages of a key are on one partition, unless partitions were added or programs choose them differently:
    then an older receipt may count, and the file seems not to be received.
    """

    def __init__(self, topic: str, topic_id: str = "", names: Iterable[str] = (), others: bool = True) -> None:
        """Take receipts of `topic`, whose present id is `topic_id`, "" if the broker does not say.

        Those of the receivers `names` count, and, if `others`, those of all that there are.
        """
        self._topic = topic
        self._mark = f'"{topic}"'.encode()  # in each key of the topic
        self._topic_id = topic_id
        self._others = others
        self._receivers = {name: _Receiver() for name in names}
        self.n_damaged = 0  # messages that are no receipts
        self.first_fault = ""  # of the first of them

    @property
    def receivers(self) -> list[str]:
        """The names of all receivers, in their order."""
        return sorted(self._receivers)

    def last_receipt(self, receiver: str) -> str:
        """Return when a receiver put a file in its place last (ISO 8601); "" if it never did."""
        return self._receivers[receiver].last

    def has(self, receiver: str, identity: bytes, digest: bytes) -> bool:
        """Return whether a receiver has a version; its `digest` is b"" if it is not known."""
        record = self._receivers[receiver].versions.find(identity[:PATH_KEY_BYTES])
        return record is not None and record.startswith(identity + digest)

    def holders(self, identity: bytes, digest: bytes) -> list[str]:
        """Return the receivers that have a version."""
        return [name for name in self._receivers if self.has(name, identity, digest)]

    def add(self, messages: Iterable[ReceiptMessage]) -> list[bytes]:
        """Take messages; return the paths that they are about."""
        paths = []
        for message in messages:
            try:
                path = self._add(message.key(), message.value())
            except ValueError as error:
                self.n_damaged += 1
                self.first_fault = self.first_fault or str(error)
            else:
                if path is not None:
                    paths.append(path)
        return paths

    def _add(self, key: bytes | None, value: bytes | None) -> bytes | None:
        if key is not None and self._mark not in key and key.startswith(b"["):
            return None  # most probably a receipt of another topic
        if value is None:
            about = ReceiptKey.decode(key)
            if about.topic != self._topic or about.receiver not in self._receivers:
                return None
            self._receivers[about.receiver].versions.remove(path_key(about.path))
            return about.path
        receipt = Receipt.decode(key, value)
        if receipt.topic != self._topic or not (self._others or receipt.receiver in self._receivers):
            return None
        receiver = self._receiver(receipt.receiver)
        if self._topic_id and receipt.topic_id and receipt.topic_id != self._topic_id:  # of one that was deleted
            receiver.versions.remove(path_key(receipt.path))
            return receipt.path
        receiver.versions.put(receipt.version.identity() + bytes.fromhex(receipt.xxh3_128))
        receiver.last = max(receiver.last, receipt.time)
        return receipt.path

    def _receiver(self, name: str) -> _Receiver:
        receiver = self._receivers.get(name)
        if receiver is None:
            if len(self._receivers) >= _MAX_RECEIVERS:
                raise too_many_receivers(_MAX_RECEIVERS)
            receiver = self._receivers[name] = _Receiver()
        return receiver
