"""A TCP proxy between a client and a broker that stalls, cuts and delays what passes."""

from __future__ import annotations

import contextlib
import queue
import socket
import struct
import threading
import time
from types import TracebackType

from dfud.broker.ports import HOST, free_ports

_PIECE = 256 * 1024  # bytes
_MAX_UNDER_WAY = 64  # pieces, in one direction of a connection
_RESET_AT_CLOSE = struct.pack("ii", 1, 0)  # for SO_LINGER: the peer sees a reset, not an orderly end


class Proxy:
    """Listens on `port` and passes bytes both ways to and from the port `target` of this machine."""

    def __init__(self, target: int) -> None:
        self.target = target
        self.port = free_ports(1)[0]
        self.connections = 0  # made so far
        self._delay = 0.0
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
        """Take connections and bytes, but pass nothing on until `heal`."""
        self._passing.clear()

    def cut(self, refuse: bool = True) -> None:
        """Reset all connections, and with `refuse` each new one until `heal`."""
        self._refusing = refuse
        with self._lock:
            ends = list(self._open)
        for end in ends:
            _reset(end)

    def delay(self, seconds: float) -> None:
        """Have everything arrive so much later, in both directions."""
        self._delay = seconds

    def heal(self) -> None:
        """Pass everything on at once, what was held back first."""
        self._delay, self._refusing = 0.0, False
        self._passing.set()

    def close(self) -> None:
        """End all connections and threads."""
        self._closing = True
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self.cut()
        self.heal()
        for thread in self._threads:
            thread.join(10)
        self._listener.close()

    def _start(self, target: object, *arguments: object) -> None:
        thread = threading.Thread(target=target, args=arguments, daemon=True)  # type: ignore[arg-type]
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
        under_way: queue.Queue[tuple[float, bytes]] = queue.Queue(_MAX_UNDER_WAY)
        self._start(self._deliver, under_way, sink)
        piece = b"some"
        while piece:
            try:
                piece = source.recv(_PIECE)
            except OSError:
                piece = b""
            under_way.put((time.monotonic() + self._delay, piece))
        with self._lock:
            self._open -= {source, sink}
        pair.one_ended()

    def _deliver(self, under_way: queue.Queue[tuple[float, bytes]], sink: socket.socket) -> None:
        """Send each piece when its time has come, up to the empty one; what can't be sent is dropped."""
        piece = b"some"
        while piece:
            due, piece = under_way.get()
            self._passing.wait()
            time.sleep(max(0.0, due - time.monotonic()))
            with contextlib.suppress(OSError):
                sink.sendall(piece)


class _Pair:
    """Both sockets of a connection; they are closed when both of its threads have ended."""

    def __init__(self, *ends: socket.socket) -> None:
        self._ends = ends
        self._left = len(ends)
        self._lock = threading.Lock()

    def one_ended(self) -> None:
        with self._lock:
            self._left -= 1
            last = not self._left
        for end in self._ends:
            if last:
                end.close()
            else:
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)


def _reset(end: socket.socket) -> None:
    """Have the peer see a reset; the thread that reads from it sees the end."""
    with contextlib.suppress(OSError):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_AT_CLOSE)
        end.shutdown(socket.SHUT_RDWR)
