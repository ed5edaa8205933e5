"""The answer to DescribeQuorum, and what is no such answer."""

from __future__ import annotations

import struct

import pytest

from dfud.kafka.quorum_clock import quorum_clock, request, time_in

ID = b"dfud"


def replica(number: int, caught_up_ms: int) -> bytes:
    return struct.pack(">iqqqb", number, 5, 1, caught_up_ms, 0)


def answer(*voters: bytes, error: int = 0, observers: tuple[bytes, ...] = ()) -> bytes:
    name = b"__cluster_metadata"
    partition = struct.pack(">ihiiq", 0, 0, 1, 1, 5)
    partition += (
        bytes([len(voters) + 1]) + b"".join(voters) + bytes([len(observers) + 1]) + b"".join(observers) + b"\0"
    )
    topic = bytes([len(name) + 1]) + name + b"\x02" + partition + b"\0"
    return ID + b"\0" + struct.pack(">h", error) + b"\x02" + topic + b"\0"


def test_the_latest_time_counts() -> None:
    assert time_in(answer(replica(1, 1_700), replica(2, 1_800), observers=(replica(3, 1_600),))) == 1_800


def test_a_refusal_says_nothing() -> None:
    assert time_in(answer(replica(1, 1_700), error=31)) == 0


def test_what_is_no_answer() -> None:
    whole = answer(replica(1, 1_700))
    for end in range(len(whole) - 3):
        with pytest.raises((ValueError, IndexError, struct.error)):
            time_in(whole[:end])
    with pytest.raises(ValueError, match="another request"):
        time_in(b"HTTP/1.1 400 Bad Request")


def test_the_length_of_the_request() -> None:
    assert struct.unpack_from(">i", request()) == (len(request()) - 4,)


def test_nobody_is_asked_where_a_password_is_needed() -> None:
    assert quorum_clock("nowhere.invalid:1", {"security.protocol": "SASL_SSL"}) is None
    assert quorum_clock("127.0.0.1:1", {}) is None
    assert quorum_clock("no address", {}) is None
