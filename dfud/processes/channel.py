"""A two-way channel between two processes that carries batches of messages, each batch whole or not at all.

It is a pair of connected SOCK_SEQPACKET sockets. A worker may be killed at any instant: the kernel has then
accepted a packet entirely or not at all, and no lock is left held, as that of a `multiprocessing` queue would be.
It is also faster than what the standard library offers: `benchmarks/micro/channels.py` compares them.
"""

from __future__ import annotations

import socket
from collections import deque
from collections.abc import Sequence
from typing import Any, Generic, TypeVar

from dfud.processes.links import Decode, Down, Link, Up
from dfud.processes.packing import pack

Sent = TypeVar("Sent")
Received = TypeVar("Received")

_PACKET_BYTES = 128 * 1024  # well below the default size of a socket's send buffer (208 KiB)
_FIRST, _LAST = 1, 2  # flags in a packet's first byte: a large batch is split over several packets
_ONLY = bytes([_FIRST | _LAST])


class PeerGoneError(Exception):
    """The process at the other end has ended."""


class Channel(Generic[Sent, Received]):
    """One end of a channel. One process owns it; the copies that other processes inherit must be closed."""

    def __init__(self, end: socket.socket, decode: Decode[Received]) -> None:
        self._socket = end
        self._decode = decode
        self._outbox: deque[bytes] = deque()
        self._parts: list[bytes] = []
        self._buffer = bytearray(_PACKET_BYTES + 1)
        self._view = memoryview(self._buffer)

    @staticmethod
    def pair(link: Link[Down, Up]) -> tuple[Channel[Down, Up], Channel[Up, Down]]:
        """Return both ends of a new channel: the one to keep, and the one for the other process."""
        one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        return Channel(one, link.decode_up), Channel(other, link.decode_down)

    def fileno(self) -> int:
        """Return the descriptor to wait on: readable if there is something to `receive`."""
        return self._socket.fileno()

    def close(self) -> None:
        """Close this process's copy of this end."""
        self._socket.close()

    def send(self, batch: Sequence[Sent]) -> None:
        """Send `batch`, waiting while the socket's buffer is full; PeerGoneError if the other end is closed."""
        try:
            for packet in _packets(batch):
                self._socket.send(packet)
        except (BrokenPipeError, ConnectionResetError):
            raise PeerGoneError from None

    def post(self, batch: Sequence[Sent]) -> None:
        """Send `batch` without waiting: what does not fit is kept for `flush`. A closed other end is ignored."""
        self._outbox.extend(_packets(batch))
        self.flush()

    def flush(self) -> None:
        """Send what `post` had to keep, as much as fits without waiting."""
        try:
            while self._outbox:
                self._socket.send(self._outbox[0], socket.MSG_DONTWAIT)
                self._outbox.popleft()
        except BlockingIOError:
            return
        except (BrokenPipeError, ConnectionResetError):
            self._outbox.clear()  # the end of the process is an event of its own

    @property
    def backlog(self) -> int:
        """The number of packets that wait for `flush`."""
        return len(self._outbox)

    def receive(self, wait: bool = True) -> Sequence[Received]:
        """Return the next batch; an empty one if there is none and `wait` is false.

        Raises PeerGoneError once the other end is closed and everything has been received.
        """
        flags = 0 if wait else socket.MSG_DONTWAIT
        while True:
            try:
                length = self._socket.recv_into(self._buffer, 0, flags)
            except BlockingIOError:
                return ()
            except ConnectionResetError:
                raise PeerGoneError from None
            if not length:
                raise PeerGoneError
            position = self._buffer[0]
            if position == _FIRST | _LAST:
                return self._decode(self._view[1:length])
            # A first packet also discards the batch that a killed sender began and did not finish.
            if position & _FIRST:
                self._parts.clear()
            self._parts.append(bytes(self._view[1:length]))
            if position & _LAST:
                data = b"".join(self._parts)
                self._parts.clear()
                return self._decode(data)


def _packets(batch: Sequence[Any]) -> list[bytes]:
    if not batch:  # to the receiver an empty batch means that there is none
        return []
    data = pack(batch)
    if len(data) <= _PACKET_BYTES:
        return [_ONLY + data]
    last = (len(data) - 1) // _PACKET_BYTES
    return [
        bytes([_FIRST * (at == 0) | _LAST * (at == last)]) + data[at * _PACKET_BYTES : (at + 1) * _PACKET_BYTES]
        for at in range(last + 1)
    ]
