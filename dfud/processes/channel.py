"""A two-way channel between two processes that carries batches of messages, each batch whole or not at all.

It is a pair of connected SOCK_SEQPACKET sockets. A worker may be killed at any instant: the kernel has then
taken a packet entirely or not at all, and no lock is left held, as the lock of a `multiprocessing` queue would
be. It is also the quickest of the standard library's ways: `benchmarks/micro/channels.py` compares them.
"""

from __future__ import annotations

import socket
from collections import deque
from collections.abc import Sequence
from typing import Any, Generic, TypeVar

from dfud.processes.links import Decode, Down, Link, Up
from dfud.processes.packing import pack

_PACKET_BYTES = 128 * 1024  # well under the smallest default of the kernel's socket buffers (208 KiB)
Sent = TypeVar("Sent")
Received = TypeVar("Received")
_FIRST, _LAST = 1, 2  # bits of a packet's first byte: a batch may take several packets


class PeerGoneError(Exception):
    """The process at the other end has ended."""


class Channel(Generic[Sent, Received]):
    """One end of the channel. It belongs to one process; the other copies of a fork are to be closed."""

    def __init__(self, end: socket.socket, decode: Decode[Received]) -> None:
        self._socket = end
        self._decode = decode
        self._outbox: deque[bytes] = deque()
        self._parts: list[bytes] = []
        self._buffer = bytearray(_PACKET_BYTES + 1)
        self._view = memoryview(self._buffer)

    @staticmethod
    def pair(link: Link[Down, Up]) -> tuple[Channel[Down, Up], Channel[Up, Down]]:
        """Return both ends of a new channel: the one to keep, and the one to give away."""
        one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        return Channel(one, link.decode_up), Channel(other, link.decode_down)

    def fileno(self) -> int:
        return self._socket.fileno()

    def close(self) -> None:
        self._socket.close()

    def send(self, batch: Sequence[Sent]) -> None:
        """Send `batch`, waiting while the other end does not read; PeerGoneError if it has ended."""
        try:
            for packet in _packets(batch):
                self._socket.send(packet)
        except (BrokenPipeError, ConnectionResetError):
            raise PeerGoneError from None

    def post(self, batch: Sequence[Sent]) -> None:
        """Send `batch` without ever waiting: what does not fit is kept for `flush`. A gone peer is ignored."""
        self._outbox.extend(_packets(batch))
        self.flush()

    def flush(self) -> None:
        """Send what `post` had to keep, as far as it fits."""
        try:
            while self._outbox:
                self._socket.send(self._outbox[0], socket.MSG_DONTWAIT)
                self._outbox.popleft()
        except BlockingIOError:
            return
        except (BrokenPipeError, ConnectionResetError):
            self._outbox.clear()  # whoever watches the process sees that it has ended

    @property
    def backlog(self) -> int:
        """Packets that wait for `flush`."""
        return len(self._outbox)

    def receive(self, wait: bool = True) -> Sequence[Received]:
        """Return the next batch, an empty one if there is none and `wait` is false; PeerGoneError at the end."""
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
            mark = self._buffer[0]
            if mark == _FIRST | _LAST:
                return self._decode(self._view[1:length])
            # A first part also ends what a killed sender began and did not finish.
            if mark & _FIRST:
                self._parts.clear()
            self._parts.append(bytes(self._view[1:length]))
            if mark & _LAST:
                whole = b"".join(self._parts)
                self._parts.clear()
                return self._decode(whole)


def _packets(batch: Sequence[Any]) -> list[bytes]:
    if not batch:  # an empty one is how `receive` says that there is none
        return []
    data = pack(batch)
    if len(data) <= _PACKET_BYTES:
        return [b"\3" + data]
    last = (len(data) - 1) // _PACKET_BYTES
    return [
        bytes([_FIRST * (at == 0) | _LAST * (at == last)]) + data[at * _PACKET_BYTES : (at + 1) * _PACKET_BYTES]
        for at in range(last + 1)
    ]
