"""The end of sd_notify that systemd has: a real socket, whose messages the test reads."""

from __future__ import annotations

import os
import select
import socket
from pathlib import Path

from tests.helpers.uploading import WAIT_S


class NotifySocket:
    """A socket that services notify, in a folder or in the abstract namespace."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind("\0" + address[1:] if address.startswith("@") else address)
        self.said: list[str] = []  # all lines so far

    def received(self) -> list[str]:
        """Return the lines that have arrived since the last call."""
        lines: list[str] = []
        while select.select([self._socket], [], [], 0)[0]:
            lines += self._socket.recv(4096).decode().split("\n")
        self.said += lines
        return lines

    def wait_for(self, *beginnings: str) -> list[str]:
        """Return the lines until each of these beginnings is among them; fail if one is not in time."""
        lines: list[str] = []
        while not all(any(line.startswith(beginning) for line in lines) for beginning in beginnings):
            assert select.select([self._socket], [], [], WAIT_S)[0], f"{beginnings} not in {lines}"
            lines += self.received()
        return lines

    def close(self) -> None:
        self._socket.close()


def in_folder(folder: Path) -> NotifySocket:
    """Return a socket at a path."""
    return NotifySocket(os.fspath(folder / "notify"))
