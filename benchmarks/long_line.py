"""A long line: TCP connections to some ports of 127.0.0.1 that have the round trip and the rate of a distant host.

It lies in a network namespace of its own. There the kernel routes what goes to and from these ports into a TUN
device, and `main` puts it back into the device when it would have arrived. So both ends are real sockets, whose
windows and buffers have to be as large as over a real line.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import select
import shutil
import struct
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.command import CommandFailedError

ROUND_TRIP_S = 0.05
BYTES_PER_S = 125e6  # 1 Gbit/s, in each direction

_DEVICE = "line"
_ADDRESS = "192.0.2.1"  # of no use, but with none besides 127.0.0.1 librdkafka resolves no name
_TUN = Path("/dev/net/tun")
_CLONE_NEWNET = 0x40000000
_GATHER_S = 0.0005  # s that packets may be late, so that many of them are forwarded at once
_QUEUE_BYTES = int(ROUND_TRIP_S * BYTES_PER_S)  # that the line holds back in each direction before it drops some

# linux/if_tun.h
_TUNSETIFF, _TUNSETOFFLOAD = 0x400454CA, 0x400454D0
_IFF_TUN, _IFF_NO_PI, _IFF_VNET_HDR = 0x0001, 0x1000, 0x4000
_TUN_F_CSUM, _TUN_F_TSO4 = 0x01, 0x02
_VIRTIO_HEADER = struct.Struct("<BBHHHH")  # flags, GSO type, header length, GSO size, checksum start and offset
_MAX_PACKET = 65536 + _VIRTIO_HEADER.size  # bytes: the kernel passes many segments as one

_SEGMENT_HEADERS = 52  # bytes of IPv4 and TCP, with timestamps
_FRAME_BYTES = 38  # of Ethernet around a packet: header, checksum, preamble, gap


def missing() -> str:
    """Return what a line needs and this machine lacks, or ""."""
    if os.geteuid() or not os.access(_TUN, os.R_OK | os.W_OK):
        return f"a network of its own needs root and {_TUN}"
    return "" if shutil.which("ip") else "there is no ip command (Debian: apt install iproute2)"


@contextlib.contextmanager
def own_network() -> Iterator[None]:
    """Move this thread, and what it starts, into a network namespace in which there is only 127.0.0.1."""
    libc = ctypes.CDLL(None, use_errno=True)
    before = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        if libc.unshare(_CLONE_NEWNET):
            raise CommandFailedError(f"cannot make a network: {os.strerror(ctypes.get_errno())}")
        try:
            _ip("link set lo up")
            _ip(f"address add {_ADDRESS}/32 dev lo")
            yield
        finally:
            libc.setns(before, _CLONE_NEWNET)
    finally:
        os.close(before)


@contextlib.contextmanager
def long_line(ports: Sequence[int]) -> Iterator[None]:
    """Put the line between these ports of 127.0.0.1 and their clients; only in an `own_network`."""
    with subprocess.Popen([sys.executable, "-m", __name__], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as line:
        assert line.stdin is not None
        assert line.stdout is not None
        try:
            if not line.stdout.readline():
                raise CommandFailedError("the line could not be laid")
            _route(ports)
            yield
        finally:
            line.stdin.close()  # it ends with that


def _route(ports: Sequence[int]) -> None:
    """Have the kernel send what goes to or from `ports` into the device, and take for its own what comes out."""
    _ip(f"link set {_DEVICE} up")
    for setting, value in ((f"{_DEVICE}/route_localnet", 1), (f"{_DEVICE}/accept_local", 1), ("all/rp_filter", 0)):
        Path(f"/proc/sys/net/ipv4/conf/{setting}").write_text(str(value))
    Path(f"/proc/sys/net/ipv4/conf/{_DEVICE}/rp_filter").write_text("0")
    _ip(f"route add default dev {_DEVICE} src 127.0.0.1 table 100")
    for port in ports:
        for end in ("sport", "dport"):
            _ip(f"rule add pref 1 iif lo ipproto tcp {end} {port} lookup 100")
    _ip("rule add pref 2 lookup local")
    _ip("rule del pref 0")


def _ip(words: str) -> None:
    done = subprocess.run(["ip", *words.split()], capture_output=True, text=True, check=False)
    if done.returncode:
        raise CommandFailedError(f"ip {words}: {done.stderr.strip()}")


class Direction:
    """What is on its way in one direction."""

    def __init__(self) -> None:
        self._packets: deque[tuple[float, bytes]] = deque()  # with when they arrive
        self._free_at = 0.0  # s, monotonic: the last of them has left

    @property
    def due_at(self) -> float:
        """When the next packet arrives (s, monotonic); infinity if there is none."""
        return self._packets[0][0] if self._packets else float("inf")

    def add(self, packet: bytes, now: float) -> None:
        """Send a packet, or drop it if too much is waiting for the line."""
        begin = max(now, self._free_at)
        if (begin - now) * BYTES_PER_S <= _QUEUE_BYTES:
            self._free_at = begin + wire_bytes(packet) / BYTES_PER_S
            self._packets.append((self._free_at + ROUND_TRIP_S / 2, packet))

    def take(self) -> bytes:
        """Return the packet that arrives next."""
        return self._packets.popleft()[1]


def wire_bytes(packet: bytes) -> int:
    """Return how many bytes of an Ethernet a packet takes, with its segments' headers, if it has several."""
    gso_size = _VIRTIO_HEADER.unpack_from(packet)[3]
    length = len(packet) - _VIRTIO_HEADER.size
    n_segments = max(1, -(-(length - _SEGMENT_HEADERS) // gso_size)) if gso_size else 1
    return length + (n_segments - 1) * _SEGMENT_HEADERS + n_segments * _FRAME_BYTES


def is_request(packet: bytes) -> bool:
    """Return whether a packet goes to the port with the lower number: one direction of each connection."""
    at = _VIRTIO_HEADER.size
    ports = at + 4 * (packet[at] & 15)
    return packet[ports : ports + 2] > packet[ports + 2 : ports + 4]


def main() -> None:
    """Make the device, say so, and forward packets until standard input is closed."""
    os.setpriority(os.PRIO_PROCESS, 0, -20)  # a line does not wait for a processor
    device = os.open(_TUN, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    fcntl.ioctl(
        device, _TUNSETIFF, struct.pack("16sH22x", _DEVICE.encode(), _IFF_TUN | _IFF_NO_PI | _IFF_VNET_HDR)
    )
    fcntl.ioctl(device, _TUNSETOFFLOAD, _TUN_F_CSUM | _TUN_F_TSO4)
    print("ready", flush=True)
    there, back = directions = (Direction(), Direction())
    stdin = sys.stdin.fileno()
    while True:
        now = time.monotonic()
        pause_s = min(1.0, max(0.0, min(direction.due_at for direction in directions) - now))
        ready, _, _ = select.select([device, stdin], [], [], pause_s)
        if stdin in ready:
            return
        time.sleep(_GATHER_S)
        now = time.monotonic()
        with contextlib.suppress(BlockingIOError):
            while True:
                packet = os.read(device, _MAX_PACKET)
                if packet[_VIRTIO_HEADER.size] >> 4 == 4:  # the kernel asks around by IPv6, too
                    (there if is_request(packet) else back).add(packet, now)
        for direction in directions:
            while direction.due_at <= now:
                os.write(device, direction.take())


if __name__ == "__main__":
    main()
