"""The time by the clock of a Kafka cluster, which no request of librdkafka returns.

The answer to DescribeQuorum has it: the leader of the quorum says that it is itself up to date at present. It is
asked on a connection of our own, where no SASL is needed; where it is not to be had, only timestamps tell.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import time
from collections.abc import Mapping
from typing import Any

from dfud.kafka.topic_facts import ClockReading

_TIMEOUT_S = 2.0
_DESCRIBE_QUORUM, _VERSION, _CORRELATION_ID = 55, 1, 0x64667564
_TOPIC = b"__cluster_metadata"
_MAX_ANSWER_BYTES = 1 << 20
_SOURCE = "the clock of Kafka"


def quorum_clock(address: str, properties: Mapping[str, Any]) -> ClockReading | None:
    """Ask the broker at "host:port" for the cluster's time; None if it does not say.

    `properties` are librdkafka's. A certificate is not checked: nothing is sent that is not public.
    """
    protocol = str(properties.get("security.protocol", "PLAINTEXT")).upper()
    host, _, port = address.rpartition(":")
    if protocol not in ("PLAINTEXT", "SSL"):
        return None
    with contextlib.suppress(OSError, ValueError, struct.error, IndexError), contextlib.ExitStack() as stack:
        connection = stack.enter_context(
            contextlib.closing(socket.create_connection((host.strip("[]"), int(port)), _TIMEOUT_S))
        )
        if protocol == "SSL":
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            connection = stack.enter_context(contextlib.closing(context.wrap_socket(connection)))
        connection.settimeout(_TIMEOUT_S)
        asked_at = time.time()
        connection.sendall(request())
        answer = _read(connection)
        ours = (asked_at + time.time()) / 2
        theirs = time_in(answer)
        if theirs > 0:
            return ClockReading(theirs, int(ours * 1000), True, _SOURCE)
    return None


def request() -> bytes:
    """Return the request: compact strings and arrays have their length plus 1 as a varint, 0 ends a struct."""
    header = struct.pack(">hhih4sb", _DESCRIBE_QUORUM, _VERSION, _CORRELATION_ID, 4, b"dfud", 0)
    partition = struct.pack(">ib", 0, 0)
    topic = struct.pack("b", len(_TOPIC) + 1) + _TOPIC + b"\x02" + partition + b"\x00"
    body = header + b"\x02" + topic + b"\x00"
    return struct.pack(">i", len(body)) + body


def time_in(answer: bytes) -> int:
    """Return the latest time (ms since 1970-01-01 UTC) at which a replica was up to date; 0 for none.

    Raises struct.error or IndexError for an answer that ends too early, and ValueError for another one.
    """
    reader = _Reader(answer)
    if reader.take(">i") != _CORRELATION_ID:
        raise ValueError("an answer to another request")
    reader.skip_tags()
    latest = 0
    if reader.take(">h") != 0:  # this user may not ask, or there is no quorum
        return latest
    for _ in range(reader.varint() - 1):  # topics
        reader.skip(reader.varint() - 1)
        for _ in range(reader.varint() - 1):  # partitions
            reader.skip(struct.calcsize(">ihiiq"))  # number, error, leader, its epoch, high watermark
            for _ in range(2):  # voters and observers
                for _ in range(reader.varint() - 1):
                    reader.skip(struct.calcsize(">iqq"))  # replica, end of its log, last fetch
                    latest = max(latest, reader.take(">q"))
                    reader.skip_tags()
            reader.skip_tags()
        reader.skip_tags()
    return latest


class _Reader:
    """Reads the fields of an answer, one after another."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def take(self, field: str) -> int:
        """Return the next integer."""
        (value,) = struct.unpack_from(field, self._data, self._at)
        self._at += struct.calcsize(field)
        return int(value)

    def skip(self, length: int) -> None:
        """Go on after so many bytes."""
        self._at += length

    def varint(self) -> int:
        """Return the next unsigned varint."""
        value = shift = 0
        while True:
            byte = self._data[self._at]
            self._at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80 or shift > 28:
                return value

    def skip_tags(self) -> None:
        """Go on after the tagged fields that end a struct."""
        for _ in range(self.varint()):
            self.varint()
            self.skip(self.varint())


def _read(connection: socket.socket) -> bytes:
    """Return the next answer; OSError or ValueError if there is none."""
    (length,) = struct.unpack(">i", _receive(connection, 4))
    if not 0 <= length <= _MAX_ANSWER_BYTES:
        raise ValueError("no answer of Kafka")
    return _receive(connection, length)


def _receive(connection: socket.socket, length: int) -> bytes:
    data = b""
    while len(data) < length:
        received = connection.recv(length - len(data))
        if not received:
            raise ConnectionError("the connection was closed")
        data += received
    return data
