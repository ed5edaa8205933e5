"""Channels: batches of any size arrive whole or not at all, even if a process is killed."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from dfud.messages import FromProducer, Notice, RowsRecorded
from dfud.processes import channel as module
from dfud.processes.channel import Channel, PeerGoneError
from dfud.processes.links import Link

PACKET = module._PACKET_BYTES
LINK: Link[FromProducer, FromProducer] = Link(FromProducer, FromProducer)
End = Channel[FromProducer, FromProducer]


@pytest.fixture
def ends() -> Iterator[tuple[End, End]]:
    one, other = Channel.pair(LINK)
    yield one, other
    one.close()
    other.close()


def notice(length: int, letter: str = "x") -> list[FromProducer]:
    return [Notice(0, letter * length)]


def receive_all(end: End) -> list[FromProducer]:
    messages: list[FromProducer] = []
    while batch := end.receive(wait=False):
        messages += batch
    return messages


def test_batches_arrive_in_order_and_both_ways(ends: tuple[End, End]) -> None:
    one, other = ends
    one.send([RowsRecorded(1), RowsRecorded(2)])
    one.send([RowsRecorded(3)])
    other.send([RowsRecorded(4)])
    assert other.receive() == [RowsRecorded(1), RowsRecorded(2)]
    assert receive_all(other) == [RowsRecorded(3)]
    assert one.receive() == [RowsRecorded(4)]
    assert one.receive(wait=False) == ()


def test_an_empty_batch_is_not_sent(ends: tuple[End, End]) -> None:
    """The receiver would take it for the end of what has arrived."""
    one, other = ends
    one.send([])
    one.post([])
    one.send([RowsRecorded(1)])
    assert receive_all(other) == [RowsRecorded(1)]


@pytest.mark.parametrize("length", [PACKET - 200, PACKET - 60, PACKET, PACKET + 1, 3 * PACKET, 10 * PACKET + 5])
def test_a_batch_may_be_larger_than_a_packet(ends: tuple[End, End], length: int) -> None:
    one, other = ends
    one.post(notice(length))
    received: list[FromProducer] = []
    while not received:
        received += other.receive(wait=False)
        one.flush()
    assert received == notice(length)
    assert not one.backlog


def test_every_length_around_that_of_a_packet_is_split_correctly() -> None:
    overhead = len(b"".join(module._packets(notice(PACKET // 2)))) - PACKET // 2
    for length in range(PACKET - overhead - 3, PACKET - overhead + 4):
        packets = module._packets(notice(length))
        assert all(1 < len(packet) <= PACKET + 1 for packet in packets)
        assert len(packets) == (1 if len(b"".join(packets)) <= PACKET + 1 else 2)


def test_posting_never_waits(ends: tuple[End, End]) -> None:
    one, other = ends
    for number in range(50):
        one.post(notice(PACKET // 2, chr(65 + number)))
    assert one.backlog
    one.flush()
    received: list[FromProducer] = []
    while len(received) < 50:
        received += other.receive(wait=False)
        one.flush()
    assert received == [notice(PACKET // 2, chr(65 + number))[0] for number in range(50)]
    assert not one.backlog


def test_the_other_end_is_closed(ends: tuple[End, End]) -> None:
    one, other = ends
    one.send([RowsRecorded(1)])
    one.close()
    assert other.receive() == [RowsRecorded(1)]
    with pytest.raises(PeerGoneError):
        other.receive()
    with pytest.raises(PeerGoneError):
        other.send([RowsRecorded(1)])
    other.post([RowsRecorded(1)])
    assert other.backlog == 0


def test_the_other_end_is_closed_with_something_unread(ends: tuple[End, End]) -> None:
    one, other = ends
    one.send([RowsRecorded(1)])
    other.close()  # the kernel reports that as a reset
    with pytest.raises(PeerGoneError):
        one.receive()


def test_a_sender_is_killed_in_the_middle_of_a_batch(ends: tuple[End, End]) -> None:
    """What it began is discarded; what its successor sends is complete."""
    one, other = ends
    killed = os.fork()
    if not killed:
        one.send([RowsRecorded(1)])
        one.send(notice(20 * PACKET))  # more than the socket holds: it blocks half-way
        os._exit(1)
    assert other.receive() == [RowsRecorded(1)]
    assert other.receive(wait=False) == ()  # parts of what will never be complete
    os.kill(killed, signal.SIGKILL)
    os.waitpid(killed, 0)
    assert receive_all(other) == []
    one.send([RowsRecorded(2)])
    assert other.receive() == [RowsRecorded(2)]
    one.post(notice(3 * PACKET, "y"))
    received: list[FromProducer] = []
    while not received:
        received += other.receive(wait=False)
        one.flush()
    assert received == notice(3 * PACKET, "y")
