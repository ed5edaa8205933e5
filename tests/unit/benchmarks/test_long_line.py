"""The arithmetic of the long line: what a packet takes on it, which way it goes, and when it arrives."""

from __future__ import annotations

import struct

import pytest

from benchmarks.long_line import BYTES_PER_S, ROUND_TRIP_S, Direction, is_request, wire_bytes


def packet(length: int, source: int, destination: int, segment: int = 0) -> bytes:
    """Return a packet with so many bytes of data, which the kernel would cut into segments."""
    virtio = struct.pack("<BBHHHH", 0, int(segment > 0), 0, segment, 0, 0)
    ports = struct.pack("!HH", source, destination)
    return virtio + b"\x45" + bytes(19) + ports + bytes(28) + bytes(length)


def test_each_segment_has_headers_of_its_own() -> None:
    one = wire_bytes(packet(1448, 50000, 9092))
    assert one == 1448 + 52 + 38
    assert wire_bytes(packet(10 * 1448, 50000, 9092, segment=1448)) == 10 * one
    assert wire_bytes(packet(10 * 1448 + 1, 50000, 9092, segment=1448)) == 10 * one + 1 + 52 + 38


def test_the_two_directions_of_a_connection_are_told_apart() -> None:
    assert is_request(packet(1, 50000, 9092))
    assert not is_request(packet(1, 9092, 50000))


def test_packets_leave_one_after_another_and_arrive_half_a_round_trip_later() -> None:
    line, data = Direction(), packet(1448, 50000, 9092)
    assert line.due_at == float("inf")
    line.add(data, 100.0)
    line.add(data, 100.0)
    on_line = 1538 / BYTES_PER_S
    assert line.due_at == pytest.approx(100.0 + on_line + ROUND_TRIP_S / 2, abs=1e-9)
    assert line.take() == data
    assert line.due_at == pytest.approx(100.0 + 2 * on_line + ROUND_TRIP_S / 2, abs=1e-9)


def test_what_waits_for_too_long_is_dropped() -> None:
    line, data = Direction(), packet(40 * 1448, 50000, 9092, segment=1448)
    for _ in range(1000):
        line.add(data, 0.0)
    kept = 0
    while line.due_at < float("inf"):
        line.take()
        kept += 1
    assert kept == pytest.approx(ROUND_TRIP_S * BYTES_PER_S / wire_bytes(data), abs=2)
