"""An HTTP server for one page, which nobody can keep busy, or fill: ``GET /metrics``, one request a connection.

By hand, because http.server's threads wait for each client as long as it likes, and for as many as there are.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import time
from collections.abc import Callable

PATH = "/metrics"
MAX_CONNECTIONS = 16  # for one more, the oldest is closed: who has a request is answered at once
MAX_REQUEST_BYTES = 8192
_TIMEOUT_S = 5.0  # for a request and its answer together
_ACCEPT_PAUSE_S = 0.1  # after an error such as too many open files
_TEXT_FORMAT = "text/plain; version=0.0.4; charset=utf-8"
_PLAIN = "text/plain; charset=utf-8"


class _Connection:
    """A client, and how far it has got."""

    def __init__(self, client: socket.socket, deadline: float) -> None:
        self.socket = client
        self.deadline = deadline  # s, monotonic
        self.request = bytearray()
        self.answer = memoryview(b"")  # what is still to be sent


class MetricsServer:
    """Responsible for all connections to one listening socket."""

    def __init__(
        self,
        listener: socket.socket,
        content: Callable[[], bytes],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Answer with what `content` returns."""
        self._content = content
        self._clock = clock
        self._selector = selectors.DefaultSelector()
        self._connections: dict[int, _Connection] = {}  # by descriptor, the oldest first
        listener.setblocking(False)
        self._listener = listener
        self.add_reader(listener.fileno(), self._accept)

    def close(self) -> None:
        """Close all connections."""
        for connection in list(self._connections.values()):
            self._close(connection)
        self._selector.close()

    def add_reader(self, descriptor: int, handler: Callable[[], None]) -> None:
        """Call `handler` whenever `descriptor` is readable."""
        self._selector.register(descriptor, selectors.EVENT_READ, handler)

    def run_once(self) -> None:
        """Wait until something happens, and handle it."""
        oldest = next(iter(self._connections.values()), None)
        timeout = None if oldest is None else max(0.0, oldest.deadline - self._clock())
        for key, _ in self._selector.select(timeout):
            registered = self._selector.get_map().get(key.fd)  # an earlier handler may have closed it
            if registered is not None and registered.data is key.data:
                key.data()
        now = self._clock()
        for connection in [each for each in self._connections.values() if each.deadline <= now]:
            self._close(connection)

    def _accept(self) -> None:
        try:
            client, _ = self._listener.accept()
        except (BlockingIOError, ConnectionError):  # it has gone again
            return
        except OSError:
            time.sleep(_ACCEPT_PAUSE_S)
            return
        client.setblocking(False)
        if len(self._connections) >= MAX_CONNECTIONS:
            self._close(next(iter(self._connections.values())))
        connection = _Connection(client, self._clock() + _TIMEOUT_S)
        self._connections[client.fileno()] = connection
        self._selector.register(client, selectors.EVENT_READ, lambda: self._receive(connection))

    def _receive(self, connection: _Connection) -> None:
        try:
            data = connection.socket.recv(MAX_REQUEST_BYTES)
        except OSError:
            data = b""
        if not data:
            self._close(connection)
            return
        connection.request += data
        if b"\r\n\r\n" in connection.request or len(connection.request) > MAX_REQUEST_BYTES:
            connection.answer = memoryview(self._answer(bytes(connection.request)))
            self._selector.modify(connection.socket, selectors.EVENT_WRITE, lambda: self._send(connection))

    def _send(self, connection: _Connection) -> None:
        try:
            sent = connection.socket.send(connection.answer)
        except OSError:
            self._close(connection)
            return
        connection.answer = connection.answer[sent:]
        if not connection.answer:
            with contextlib.suppress(OSError):
                connection.socket.shutdown(socket.SHUT_WR)
            self._close(connection)

    def _close(self, connection: _Connection) -> None:
        self._selector.unregister(connection.socket)
        del self._connections[connection.socket.fileno()]
        connection.socket.close()

    def _answer(self, request: bytes) -> bytes:
        head, end, _ = request.partition(b"\r\n\r\n")
        words = head.split(b"\r\n", 1)[0].split(b" ")
        if not end or len(words) != 3 or not words[2].startswith(b"HTTP/1."):
            return _response("400 Bad Request", b"no HTTP request\n")
        if words[0] != b"GET":
            return _response("405 Method Not Allowed", b"only GET is allowed\n", allow="Allow: GET\r\n")
        if words[1].split(b"?")[0] != PATH.encode():
            return _response("404 Not Found", f"there is only {PATH}\n".encode())
        return _response("200 OK", self._content(), _TEXT_FORMAT)


def _response(status: str, body: bytes, content_type: str = _PLAIN, allow: str = "") -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}\r\n"
    return f"{head}{allow}Connection: close\r\n\r\n".encode() + body
