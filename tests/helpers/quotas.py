"""Set a quota of a real broker, with a request of Kafka's protocol that confluent_kafka does not have."""

from __future__ import annotations

import socket
import struct

_ALTER_CLIENT_QUOTAS, _VERSION = 49, 0
_TIMEOUT_S = 15.0

# Of a broker: a quota is held within two windows of a second; in eleven, much passes before it is noticed.
SHORT_BURSTS = {"quota.window.num": "2"}


def limit_producer(bootstrap: str, client_id: str, bytes_per_s: float) -> None:
    """Let the producers of `client_id` send only so much together."""
    _limit(bootstrap, client_id, "producer_byte_rate", bytes_per_s)


def limit_consumer(bootstrap: str, client_id: str, bytes_per_s: float) -> None:
    """Let the consumers of `client_id` read only so much together."""
    _limit(bootstrap, client_id, "consumer_byte_rate", bytes_per_s)


def _limit(bootstrap: str, client_id: str, quota: str, bytes_per_s: float) -> None:
    body = b"".join(
        (
            struct.pack(">i", 1),  # one entry,
            struct.pack(">i", 1) + _string("client-id") + _string(client_id),  # for one client,
            struct.pack(">i", 1) + _string(quota) + struct.pack(">d?", bytes_per_s, False),
            struct.pack(">?", False),  # not only validated
        )
    )
    request = struct.pack(">hhi", _ALTER_CLIENT_QUOTAS, _VERSION, 1) + _string("tests") + body
    host, _, port = bootstrap.partition(":")
    with socket.create_connection((host, int(port)), _TIMEOUT_S) as broker:
        broker.sendall(struct.pack(">i", len(request)) + request)
        (length,) = struct.unpack(">i", _receive(broker, 4))
        answer = _receive(broker, length)
    _, _, entries, error = struct.unpack_from(">iiih", answer)
    assert (entries, error) == (1, 0), answer


def _string(text: str) -> bytes:
    return struct.pack(">h", len(text)) + text.encode()


def _receive(broker: socket.socket, length: int) -> bytes:
    data = b""
    while len(data) < length:
        more = broker.recv(length - len(data))
        assert more, "the broker has closed the connection"
        data += more
    return data
