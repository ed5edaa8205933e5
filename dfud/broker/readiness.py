"""Ask a Kafka broker, over a plain socket, whether it serves.

A Kafka client would do, but its threads and handles must not be in a process that forks later.
"""

from __future__ import annotations

import socket
import struct

_METADATA = 3
_VERSION = 4  # the oldest in which we can forbid creating a topic
_CLIENT_ID = b"dfud"
_NO_TOPICS = 0
_MAX_RESPONSE = 1 << 20

# From the wire protocol: i32 length, then a header and a body. Request header v1: i16 api, i16 version,
# i32 correlation, string client id; body: array of topics, bool create. Response header v0: i32
# correlation; body: i32 throttle time, array of brokers, ...
_REQUEST_HEAD = struct.Struct(">hhih")
_REQUEST_BODY = struct.Struct(">i?")
_RESPONSE_HEAD = struct.Struct(">iii")


def metadata_request(correlation: int) -> bytes:
    """Encode a request for the cluster's brokers and no topics."""
    head = _REQUEST_HEAD.pack(_METADATA, _VERSION, correlation, len(_CLIENT_ID)) + _CLIENT_ID
    body = _REQUEST_BODY.pack(_NO_TOPICS, False)
    return struct.pack(">i", len(head) + len(body)) + head + body


def count_brokers(response: bytes, correlation: int) -> int:
    """Return how many brokers a response (without its length) lists. Raises ValueError."""
    if len(response) < _RESPONSE_HEAD.size:
        raise ValueError(f"a metadata response of {len(response)} bytes")
    answered, _throttle_ms, brokers = _RESPONSE_HEAD.unpack_from(response)
    if answered != correlation:
        raise ValueError(f"an answer to request {answered} instead of {correlation}")
    return int(brokers)


def is_ready(host: str, port: int, timeout: float) -> bool:
    """Return whether the broker answers a metadata request and lists itself, within `timeout` seconds."""
    correlation = 1
    try:
        with socket.create_connection((host, port), timeout) as connection:
            connection.sendall(metadata_request(correlation))
            with connection.makefile("rb") as stream:
                (length,) = struct.unpack(">i", stream.read(4))
                return count_brokers(stream.read(min(length, _MAX_RESPONSE)), correlation) > 0
    except (OSError, ValueError, struct.error):
        return False
