"""What the receipts on a topic say of each receiver: how many there are, and when the last one was.

They are counted, not compared with files: a file that was received twice has two, until the topic is compacted.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import NamedTuple, Protocol

from dfud.core.elapsed import parse_time
from dfud.core.receipt import Receipt, ReceiptKey
from dfud.core.text import counted, escaped
from dfud.logs.status_check import Finding, Level

MAX_RECEIVERS = 10_000  # of all topics together
_MAX_KEPT_BYTES = 1 << 26  # of their names, and of what their receipts begin with
_PATH = b',"path":'  # what comes before it is the same in all receipts of a receiver, and in no name
_END = re.compile(rb',"time":"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00)"\}\Z')
_END_BYTES = len(',"time":"2026-03-01T11:00:00.123456+00:00"}')

About = tuple[str, str]  # topic and receiver


class ReceiptMessage(Protocol):
    """A message of confluent_kafka, as far as it matters here."""

    def key(self) -> bytes | None:
        """Return the key."""

    def value(self) -> bytes | None:
        """Return the value."""


class Lag(NamedTuple):
    """How far a receiver is behind on one topic, in messages: chunks, most of them."""

    unread: int  # that are on the topic
    lost: int  # that are gone from the topic, and were not read


class Receiver(NamedTuple):
    """What is known of a receiver and one topic."""

    topic: str
    name: str  # printable
    receipts: int
    last: str  # when it put a file in its place last, ISO 8601 in UTC
    behind_s: float | None = None  # how much later the last file was complete on the topic; None if not known
    lag: Lag | None = None  # None if it is not known how far it has read
    lacking: int | None = None  # files that it has not received; None if no upload says so
    left_s: float | None = None  # until retention may take the first of them; None for never, or if not known

    @property
    def finding(self) -> Finding | None:
        """What is wrong with it."""
        if self.lag is None or not self.lag.lost:
            return None
        lost, were = counted(self.lag.lost, "message"), "was" if self.lag.lost == 1 else "were"
        return Finding(Level.CRITICAL, f"{lost} of topic {self.topic} {were} deleted before it had read them")


_UNKNOWN: Mapping[About, Lag] = MappingProxyType({})


class _Tally:
    """What was counted."""

    __slots__ = ("last", "receipts")

    def __init__(self) -> None:
        self.receipts = 0
        self.last = ""


class Receivers:
    """Responsible for one tally of each topic and receiver."""

    def __init__(self, max_receivers: int = MAX_RECEIVERS) -> None:
        """Keep no more than so many."""
        self._max = max_receivers
        self._tallies: dict[tuple[str, str], _Tally] = {}
        self._by_start: dict[bytes, _Tally] = {}  # what values begin with, of receipts that were looked at whole
        self._bytes = 0  # that are kept
        self.n_malformed = 0  # messages that are no receipts
        self.first_fault = ""  # of the first of them
        self.n_left_out = 0  # receipts of receivers beyond those that are kept

    def add(self, messages: Iterable[ReceiptMessage]) -> None:
        """Take messages."""
        for message in messages:
            value = message.value()
            try:
                if value is None:  # one that takes a receipt back
                    ReceiptKey.decode(message.key())
                    continue
                start = value[: value.find(_PATH)]
                tally = self._by_start.get(start)
                time = _time_of(value) if tally is not None else ""
                if tally is None or not time:
                    receipt = Receipt.decode(message.key(), value)
                    tally, time = self._tally(receipt, start), receipt.time
            except ValueError as error:
                self.n_malformed += 1
                self.first_fault = self.first_fault or escaped(str(error))[:200]
                continue
            if tally is None:
                self.n_left_out += 1
            else:
                tally.receipts += 1
                tally.last = max(tally.last, time)  # texts of one form, which sort like times

    def _tally(self, receipt: Receipt, start: bytes) -> _Tally | None:
        about = receipt.topic, receipt.receiver
        tally = self._tallies.get(about)
        if tally is None:
            if len(self._tallies) >= self._max or self._bytes > _MAX_KEPT_BYTES:
                return None
            tally = self._tallies[about] = _Tally()
            self._bytes += 4 * len(receipt.receiver)
        if (
            len(self._by_start) < 2 * self._max and self._bytes <= _MAX_KEPT_BYTES
        ):  # each id of a topic has its own
            self._by_start[start] = tally
            self._bytes += len(start)
        return tally

    @property
    def names(self) -> list[About]:
        """The topics and receivers that there are."""
        return list(self._tallies)

    def all(self, complete_at: Mapping[str, float], lags: Mapping[About, Lag] = _UNKNOWN) -> list[Receiver]:
        """Return the receivers; `complete_at` is when topics got their last file (s since 1970)."""
        receivers = []
        for (topic, name), tally in self._tallies.items():
            behind_s = _behind_s(tally.last, complete_at.get(topic))
            lag = lags.get((topic, name))
            receivers.append(Receiver(topic, escaped(name), tally.receipts, tally.last, behind_s, lag))
        return receivers


def _time_of(value: bytes) -> str:
    """Return the time that a receipt as dfud writes it ends with; "" if it does not."""
    match = _END.match(value, max(0, len(value) - _END_BYTES))
    return match[1].decode("ascii") if match else ""


def _behind_s(last: str, complete_at_s: float | None) -> float | None:
    time = parse_time(last)
    return None if time is None or complete_at_s is None else max(0.0, complete_at_s - time.timestamp())
