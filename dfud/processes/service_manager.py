"""What a service says to systemd, which has started it: sd_notify(3), without a library.

libsystemd would be one more thing to install for what is a datagram of a few lines. The packages for Python that
send it keep NOTIFY_SOCKET in the environment or the socket open, and every worker would have it.
"""

from __future__ import annotations

import os
import socket
from collections.abc import MutableMapping


class ServiceManager:
    """Responsible for sending lines to systemd; nothing is open in between, so that no worker inherits it."""

    def __init__(self, address: str, watchdog_s: float | None = None) -> None:
        """Send to `address`: a path, or a name in the abstract namespace, after an "@"."""
        self.address = address
        self.watchdog_s = watchdog_s  # after so long without a sign of life it ends this process; None for never

    def send(self, *lines: str) -> None:
        """Send one message of at most 4 KiB, without waiting; OSError if that fails."""
        address = "\0" + self.address[1:] if self.address.startswith("@") else self.address
        kind = socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
        with socket.socket(socket.AF_UNIX, kind) as sender:
            sender.sendto("\n".join(lines).encode(), os.fsencode(address))


def take_service_manager(environment: MutableMapping[str, str]) -> ServiceManager | None:
    """Return the systemd that waits for messages of this process, or None, and hide it from what is started."""
    address = environment.pop("NOTIFY_SOCKET", "")
    interval, pid = environment.pop("WATCHDOG_USEC", ""), environment.pop("WATCHDOG_PID", "")
    if not address.startswith(("/", "@")):
        return None
    is_watched = interval.isdecimal() and int(interval) > 0 and pid in ("", str(os.getpid()))
    return ServiceManager(address, int(interval) / 1e6 if is_watched else None)
