"""What a line carries: bytes from memory through plain TCP connections, which the other end reads and forgets.

usage: python -m benchmarks.peers.plain_tcp PORT BYTES CONNECTIONS
"""

from __future__ import annotations

import contextlib
import socket
import sys
import threading
from collections.abc import Iterator

from dfud.broker.ports import HOST

_BLOCK = bytes(1 << 18)


@contextlib.contextmanager
def receiving() -> Iterator[int]:
    """Listen on a port; read all that arrives there, and say at the end of each connection that it has arrived."""
    with socket.create_server((HOST, 0), backlog=64) as listener:
        threading.Thread(target=_accept, args=(listener,), daemon=True).start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)


def _accept(listener: socket.socket) -> None:
    with contextlib.suppress(OSError):  # closed
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=_receive, args=(connection,), daemon=True).start()


def _receive(connection: socket.socket) -> None:
    buffer = bytearray(1 << 20)
    with connection:
        while connection.recv_into(buffer):
            pass
        connection.sendall(b"!")


def _send(port: int, n_bytes: int) -> None:
    with socket.create_connection((HOST, port)) as connection:
        for at in range(0, n_bytes, len(_BLOCK)):
            connection.sendall(_BLOCK[: n_bytes - at])
        connection.shutdown(socket.SHUT_WR)
        connection.recv(1)


def main(port: int, n_bytes: int, connections: int) -> None:
    """Send `n_bytes` through all connections together."""
    threads = [threading.Thread(target=_send, args=(port, n_bytes // connections)) for _ in range(connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    main(*map(int, sys.argv[1:4]))
