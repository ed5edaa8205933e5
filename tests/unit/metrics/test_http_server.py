"""The server answers one question, whoever else asks it anything, or nothing."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from dfud.metrics.http_server import MAX_CONNECTIONS, MAX_REQUEST_BYTES, MetricsServer

GET = b"GET /metrics HTTP/1.1\r\nHost: here\r\n\r\n"
LARGE = b"x 1\n" * 2_000_000  # more than a socket takes at once


class Bench:
    """A server, its clock, and its clients."""

    def __init__(self) -> None:
        self.now = 100.0
        self.content = b"x 1\n"
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.server = MetricsServer(self.listener, lambda: self.content, lambda: self.now)
        self.clients: list[socket.socket] = []

    def connect(self, data: bytes = b"") -> socket.socket:
        """Let a client send `data`."""
        client = socket.create_connection(self.listener.getsockname()[:2])
        self.clients.append(client)
        self.server.run_once()
        client.sendall(data)
        return client

    def answer(self, client: socket.socket) -> tuple[bytes, bytes]:
        """Return the head and the body of what a client gets, until the server closes the connection."""
        client.setblocking(False)
        received = bytearray()
        while True:
            try:
                data = client.recv(1 << 20)
            except BlockingIOError:
                self.server.run_once()
                continue
            if not data:
                head, _, body = bytes(received).partition(b"\r\n\r\n")
                return head, body
            received += data


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    bench.server.close()
    for each in (bench.listener, *bench.clients):
        each.close()


def test_the_metrics_are_whole(bench: Bench) -> None:
    bench.content = LARGE
    head, body = bench.answer(bench.connect(GET))
    assert head.split(b"\r\n") == [
        b"HTTP/1.1 200 OK",
        b"Content-Type: text/plain; version=0.0.4; charset=utf-8",
        b"Content-Length: %d" % len(LARGE),
        b"Connection: close",
    ]
    assert body == LARGE


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", b"404"),
        (b"GET /metrics/../metrics HTTP/1.1\r\n\r\n", b"404"),
        (b"POST /metrics HTTP/1.1\r\nContent-Length: 0\r\n\r\n", b"405"),
        (b"HEAD /metrics HTTP/1.0\r\n\r\n", b"405"),
        (b"\x16\x03\x01\x02\x00\r\n\r\n", b"400"),
        (b"GET /metrics\r\n\r\n", b"400"),
        (b"GET /metrics HTTP/1.1\r\n" + b"x" * MAX_REQUEST_BYTES, b"400"),
        (b"GET /metrics?name[]=x HTTP/1.1\r\n\r\n", b"200"),
    ],
)
def test_nothing_else_is_answered(bench: Bench, request_: bytes, status: bytes) -> None:
    head, _ = bench.answer(bench.connect(request_))
    assert head.split(b" ")[1] == status


def test_clients_that_send_nothing_do_not_keep_out_one_that_does(bench: Bench) -> None:
    silent = [bench.connect(b"GET /met") for _ in range(3 * MAX_CONNECTIONS)]
    assert b"200 OK" in bench.answer(bench.connect(GET))[0]
    assert bench.answer(silent[0]) == (b"", b""), "it is closed"


def test_a_client_has_five_seconds_for_all_whatever_it_does_meanwhile(bench: Bench) -> None:
    bench.content = LARGE
    dripping, not_reading = bench.connect(b"G"), bench.connect(GET)
    for _ in range(4):
        bench.now += 1
        dripping.sendall(b"E")
        bench.server.run_once()
    bench.now += 1
    assert bench.answer(dripping) == (b"", b"")
    assert len(bench.answer(not_reading)[1]) < len(LARGE)


def test_a_client_that_breaks_off_disturbs_nobody(bench: Bench) -> None:
    bench.connect(GET).close()
    bench.connect(b"GE").close()
    assert b"200 OK" in bench.answer(bench.connect(GET))[0]
