"""A TCP proxy between a client and a broker that stalls, cuts, delays and slows connections."""

from __future__ import annotations

import contextlib
import queue
import socket
import struct
import threading
import time
from collections.abc import Callable
from types import TracebackType

from dfud.broker.ports import HOST, free_ports

_BLOCK_SIZE = 256 * 1024  # bytes
_SLICE_SIZE = 1024  # bytes, that pass a slow line at once
_MAX_IN_FLIGHT = 64  # blocks, in one direction of a connection
_RESET_AT_CLOSE = struct.pack("ii", 1, 0)  # for SO_LINGER: the peer gets a reset


class Proxy:
    """Listens on `port` and forwards bytes to and from the port `target` of this machine."""

    def __init__(self, target: int) -> None:
        self.target = target
        self.port = free_ports(1)[0]
        self.connections = 0  # accepted so far
        self._delay = 0.0
        self._rate = 0.0  # bytes per second; 0 for any
        self._line = threading.Lock()
        self._passing = threading.Event()
        self._passing.set()
        self._refusing = False
        self._closing = False
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server((HOST, self.port), backlog=128)
        self._start(self._accept)

    @property
    def address(self) -> str:
        """For ``bootstrap.servers``."""
        return f"{HOST}:{self.port}"

    def __enter__(self) -> Proxy:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def stall(self) -> None:
        """Accept connections and bytes, but forward nothing until `heal`."""
        self._passing.clear()

    def cut(self, refuse: bool = True) -> None:
        """Reset all connections, and with `refuse` also new ones until `heal`."""
        self._refusing = refuse
        with self._lock:
            ends = list(self._open)
        for end in ends:
            _reset(end)

    def delay(self, seconds: float) -> None:
        """Delay everything by so many seconds, in both directions."""
        self._delay = seconds

    def slow(self, rate: float) -> None:
        """Forward so many bytes per second, of all connections and both directions together."""
        self._rate = rate

    def heal(self) -> None:
        """Forward everything immediately, beginning with what was held back."""
        self._delay, self._rate, self._refusing = 0.0, 0.0, False
        self._passing.set()

    def close(self) -> None:
        """Close all connections and end all threads."""
        self._closing = True
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self.cut()
        self.heal()
        for thread in self._threads:
            thread.join(10)
        self._listener.close()

    def _start(self, target: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=target, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._closing:
            try:
                client, _ = self._listener.accept()
            except OSError:  # closed
                return
            self.connections += 1
            try:
                server = None if self._refusing else socket.create_connection((HOST, self.target), 5)
            except OSError:  # the broker is away
                server = None
            if server is None:
                _reset(client)
                client.close()
                continue
            server.settimeout(None)
            with self._lock:
                self._open |= {client, server}
            pair = _Pair(client, server)
            self._start(self._pump, pair, client, server)
            self._start(self._pump, pair, server, client)

    def _pump(self, pair: _Pair, source: socket.socket, sink: socket.socket) -> None:
        in_flight: queue.Queue[tuple[float, bytes]] = queue.Queue(_MAX_IN_FLIGHT)
        self._start(self._deliver, in_flight, sink)
        block = b"some"
        while block:
            try:
                block = source.recv(_BLOCK_SIZE)
            except OSError:
                block = b""
            in_flight.put((time.monotonic() + self._delay, block))
        with self._lock:
            self._open -= {source, sink}
        pair.on_end()

    def _deliver(self, in_flight: queue.Queue[tuple[float, bytes]], sink: socket.socket) -> None:
        """Send each block when it is due, up to the empty one; drop what cannot be sent."""
        block = b"some"
        while block:
            due, block = in_flight.get()
            self._passing.wait()
            time.sleep(max(0.0, due - time.monotonic()))
            with contextlib.suppress(OSError):
                for at in range(0, len(block), _SLICE_SIZE):
                    part = block[at : at + _SLICE_SIZE]
                    if self._rate:
                        with self._line:
                            time.sleep(len(part) / self._rate if self._rate else 0.0)
                    sink.sendall(part)


class _Pair:
    """Both sockets of a connection, which are closed when both of its threads have ended."""

    def __init__(self, *ends: socket.socket) -> None:
        self._ends = ends
        self._open = len(ends)
        self._lock = threading.Lock()

    def on_end(self) -> None:
        with self._lock:
            self._open -= 1
            is_last = not self._open
        for end in self._ends:
            if is_last:
                end.close()
            else:
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)


def _reset(end: socket.socket) -> None:
    """Send a reset to the peer; the thread that reads from it gets the end of the stream."""
    with contextlib.suppress(OSError):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_AT_CLOSE)
        end.shutdown(socket.SHUT_RDWR)
