"""Choose TCP ports of 127.0.0.1."""

from __future__ import annotations

import contextlib
import random
import socket

from dfud.errors import BrokerError

HOST = "127.0.0.1"

# Below the range of the ports that Linux gives to outgoing connections (32768 and up), so that no connection takes
# a free port before the broker listens on it.
_FIRST, _LAST = 20000, 32767
_TRIES = 1000


def is_free(port: int) -> bool:
    """Return whether a server could listen on the port now."""
    with contextlib.closing(socket.socket(socket.AF_INET, socket.SOCK_STREAM)) as probe:
        # As Java's servers do, ignore connections of an earlier server that linger in TIME_WAIT.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
            probe.listen(1)
        except OSError:
            return False
    return True


def free_ports(count: int) -> list[int]:
    """Return distinct free ports. Raises BrokerError."""
    free: list[int] = []
    for _ in range(_TRIES):
        port = random.randint(_FIRST, _LAST)
        if port not in free and is_free(port):
            free.append(port)
            if len(free) == count:
                return free
    raise BrokerError(f"no free port between {_FIRST} and {_LAST} on {HOST}")
