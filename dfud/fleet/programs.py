"""The last heartbeat of each program: what is kept of a topic that anybody may write to.

Its size is bounded, whoever writes how much: so many programs, one heartbeat each, and each of a bounded size.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple, Protocol

from dfud.announcing.heartbeat_format import Counts, UploadDetails, decode, decode_details
from dfud.core.elapsed import parse_time
from dfud.core.text import escaped

MAX_PROGRAMS = 10_000
_MAX_KEPT_BYTES = 1 << 26  # of their ids and heartbeats
_MAX_ID_BYTES = 20_000  # host, directory and topic, with a path as long as can be, escaped
_MAX_NUMBER = 1e18  # bytes per second, or seconds
_MAX_TIME_S = 1e11  # since 1970: more is no time
_SUFFIX = b"_heartbeat"
_OTHER_SUFFIX = b"_log"  # OpenMSIStream's programs may send both to one topic


class HeartbeatMessage(Protocol):
    """A message of confluent_kafka, as far as it matters here."""

    def key(self) -> bytes | None:
        """Return the key."""

    def value(self) -> bytes | None:
        """Return the value."""

    def partition(self) -> int | None:
        """Return the partition."""

    def timestamp(self) -> tuple[int, int]:
        """Return the kind of the time, and the time in ms since 1970."""


class Program(NamedTuple):
    """A program, and what it said last."""

    id: str  # printable
    at_s: float  # the time of its message, s since 1970
    counts: Counts
    details: UploadDetails | None  # None if it says no more, as OpenMSIStream's programs
    before_s: float | None = None  # the time of the message before, if that is not too old to be read


class _Last(NamedTuple):
    partition: int
    at_s: float
    value: bytes
    before_s: float | None


class Programs:
    """Responsible for the last heartbeat of each program id."""

    def __init__(self, max_programs: int = MAX_PROGRAMS) -> None:
        """Keep no more than so many."""
        self._max = max_programs
        self._last: dict[bytes, _Last] = {}  # by key
        self._bytes = 0  # that are kept
        self.n_malformed = 0  # messages that are no heartbeats
        self.first_fault = ""  # of the first of them
        self.n_left_out = 0  # heartbeats of programs beyond those that are kept

    def add(self, messages: Iterable[HeartbeatMessage]) -> None:
        """Take messages, which are in the order of their partitions."""
        for message in messages:
            try:
                self._add(message)
            except ValueError as error:
                self.n_malformed += 1
                self.first_fault = self.first_fault or escaped(str(error))[:200]

    def _add(self, message: HeartbeatMessage) -> None:
        key, value = message.key() or b"", message.value()
        if not key.endswith(_SUFFIX):
            if key.endswith(_OTHER_SUFFIX):
                return
            raise ValueError("its key does not end in _heartbeat")
        if len(key) > _MAX_ID_BYTES or value is None:
            raise ValueError("its key is too long, or it has no value")
        counts, _ = decode(value)
        if parse_time(counts.timestamp) is None:
            raise ValueError("its timestamp is no ISO 8601 time")
        partition, at_s = message.partition() or 0, message.timestamp()[1] / 1000
        if not 0 < at_s < _MAX_TIME_S:
            raise ValueError("the time of its message cannot be one")
        last = self._last.get(key)
        size = len(value) - len(last.value) if last is not None else len(key) + len(value)
        if self._bytes + size > _MAX_KEPT_BYTES or (last is None and len(self._last) >= self._max):
            self.n_left_out += 1
            return
        # In one partition the order tells what is later; in two there is one key only if partitions were added.
        if last is None or last.partition == partition or at_s >= last.at_s:
            self._bytes += size
            self._last[key] = _Last(partition, at_s, value, None if last is None else last.at_s)

    def forget_before(self, time_s: float) -> None:
        """Forget the programs that have sent nothing since then."""
        self._last = {key: last for key, last in self._last.items() if last.at_s >= time_s}
        self._bytes = sum(len(key) + len(last.value) for key, last in self._last.items())

    def all(self) -> list[Program]:
        """Return the programs; one whose details cannot be understood has none."""
        return [_program(key, last) for key, last in self._last.items()]


def _program(key: bytes, last: _Last) -> Program:
    counts, text = decode(last.value)
    name = escaped(key[: -len(_SUFFIX)].decode("utf-8", "backslashreplace")) or "(no id)"
    return Program(name, last.at_s, counts, _details(text), last.before_s)


def _details(text: bytes) -> UploadDetails | None:
    try:
        details = decode_details(text) if text else None
    except ValueError:  # of a later format, or made up
        return None
    return details if details is not None and all(0 <= each <= _MAX_NUMBER for each in _numbers(details)) else None


def _numbers(details: UploadDetails) -> Iterator[float]:
    """Yield the numbers that are shown and that the format does not bound."""
    yield details.rates.bytes
    if details.oldest is not None:
        yield details.oldest.age_s
    for receiver in details.receivers:
        yield max(0.0, receiver.left_s or 0.0)  # less than 0 is overdue
