"""Receipts from a program that reads the files of a topic: ``dfud.Receipts``."""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
from types import TracebackType
from typing import IO, Protocol, Union

import xxhash
from confluent_kafka import KafkaException

from dfud.core.chunk import XXH3_128
from dfud.core.json_fields import time_text
from dfud.core.receipt import Receipt, receiver_fault
from dfud.core.text import counted, printable
from dfud.errors import DfudError, UsageError
from dfud.kafka.admin import make_admin_client
from dfud.kafka.receipt_config import read_receipt_config
from dfud.kafka.topic_watch import topic_state
from dfud.receipts.sending import ReceiptProducer
from dfud.receipts.topic import ask_receipt_topic

Path = Union[str, bytes, "os.PathLike[str]", "os.PathLike[bytes]"]

_BLOCK_BYTES = 1 << 20  # hashed at a time
_MAX_UNSENT = 10_000
_POLL_S = 0.1
_TIMEOUT_S = 60.0  # while nothing is acknowledged


class ReceivedFile(Protocol):
    """What `dfud.read_files` yields."""

    @property
    def path(self) -> str:
        """Relative; bytes that are not UTF-8 are surrogates."""

    @property
    def size(self) -> int:
        """Bytes."""

    @property
    def mtime_ns(self) -> int | None:
        """Since 1970-01-01 UTC; None if it is not known."""

    @property
    def digest(self) -> str:
        """In hex digits, after "xxh3_128:" or "sha512:"."""

    @property
    def file(self) -> IO[bytes]:
        """The open file."""


class Receipts:
    """Responsible for the receipts of one receiver: each is sent soon, and all of them when this is closed.

    Call `send` when you are done with a file: from then on others may believe that you have it.

    >>> with Receipts("kafka.config", "receipts", "scans", "analysis") as receipts:  # doctest: +SKIP
    ...     for file in dfud.read_files("kafka.config", "scans"):
    ...         keep(file)
    ...         receipts.send(file)
    """

    def __init__(
        self, config: Path, receipts: str, topic: str, receiver: str, *, receipt_sha256: bool = False
    ) -> None:
        """Send receipts of the files of `topic` to the topic `receipts`, which is made if it does not exist.

        Raises UsageError if it cannot be used, as if it is not compacted.
        """
        fault = receiver_fault(receiver)
        if fault:
            raise UsageError(f"the name of the receiver cannot be used: {fault}")
        settings = read_receipt_config(os.fsdecode(config))
        ask_receipt_topic(None, receipts, settings.properties, settings.path)
        self._name = receipts
        self._topic = topic
        self._receiver = receiver
        self._with_sha256 = receipt_sha256
        self._topic_id = ""
        self._refused: list[str] = []
        self._number = 0
        self._answers = 0
        with contextlib.suppress(KafkaException):  # a receipt may leave it out
            self._topic_id = topic_state(make_admin_client(settings.properties), topic).topic_id
        self._producer = ReceiptProducer(
            receipts, settings.properties, self._on_sent, lambda reason: None, self._on_refused
        )

    def send(self, file: ReceivedFile) -> None:
        """Send the receipt of a file that you have received; its `file` is read, if its digest is not enough.

        Raises DfudError if its messages do not say when it was modified, or if receipts cannot be sent for long.
        """
        algorithm, _, digest = file.digest.partition(":")
        if file.mtime_ns is None:
            raise DfudError(
                f"{printable(os.fsencode(file.path))}: no receipt, as its modification time is not known"
            )
        sha256 = ""
        if algorithm != XXH3_128 or self._with_sha256:
            digest, sha256 = _hash(file.file, self._with_sha256)
        receipt = Receipt(
            self._topic,
            self._topic_id,
            self._receiver,
            os.fsencode(file.path),
            file.size,
            file.mtime_ns,
            digest,
            time_text(time.time_ns()),
            sha256,
        )
        self._number += 1
        self._producer.add(self._number, [receipt])
        self._producer.poll(0)
        if self._producer.n_unsettled >= _MAX_UNSENT:
            self._wait(_MAX_UNSENT // 2)

    def flush(self) -> None:
        """Wait until all receipts are on their topic; DfudError if that takes too long, or if one is refused."""
        self._wait(0)
        if self._refused:
            refused, self._refused = self._refused, []
            raise DfudError(f"topic {self._name} refuses receipts: {'; '.join(refused)}")

    def __enter__(self) -> Receipts:
        """Return this."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Wait until all receipts are on their topic, also those before an error."""
        if error is None:
            self.flush()
        else:
            self._wait(0, raises=False)

    def _wait(self, n_left: int, raises: bool = True) -> None:
        answers, deadline = -1, 0.0
        while self._producer.n_unsettled > n_left:
            if answers != self._answers:
                answers, deadline = self._answers, time.monotonic() + _TIMEOUT_S
            if time.monotonic() >= deadline:
                if not raises:
                    return
                receipts = counted(self._producer.n_unsettled, "receipt")
                raise DfudError(
                    f"{receipts} could not be sent to topic {self._name}: {self._producer.trouble}; read their "
                    "files again, and send them then"
                )
            self._producer.poll(_POLL_S)

    def _on_sent(self, _number: int) -> None:
        self._answers += 1

    def _on_refused(self, receipt: Receipt, reason: str) -> None:
        self._refused.append(f"{printable(receipt.path)}: {reason}")


def _hash(file: IO[bytes], with_sha256: bool) -> tuple[str, str]:
    """Return both digests of an open file, whose position stays; the SHA-256 is "" if it is not wanted."""
    position = file.tell()
    file.seek(0)
    xxh3_128, sha256 = xxhash.xxh3_128(), hashlib.sha256()
    while data := file.read(_BLOCK_BYTES):
        xxh3_128.update(data)
        if with_sha256:
            sha256.update(data)
    file.seek(position)
    return xxh3_128.hexdigest(), sha256.hexdigest() if with_sha256 else ""
