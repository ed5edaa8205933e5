"""The addresses of the brokers: whether they can be resolved, and whether anything accepts connections there."""

from __future__ import annotations

import queue
import socket
import threading
import time
from collections.abc import Iterator

from dfud.doctor.diagnosis import Diagnosis, fine, warning

_SUBJECT = "address"
_CONNECT_TIMEOUT_S = 3.0
_TIMEOUT_S = 6.0  # for all addresses, which are tried at the same time; a name server may take longer than that
_DEFAULT_PORT = 9092


def check_addresses(servers: str) -> Iterator[Diagnosis]:
    """Connect to each address of ``bootstrap.servers``; whether a broker is there is not asked yet.

    What fails is a warning: one address that can be reached is enough.
    """
    addresses = addresses_in(servers)
    results: queue.SimpleQueue[tuple[str, Diagnosis]] = queue.SimpleQueue()
    for address in addresses:
        threading.Thread(target=lambda it=address: results.put((it, check_address(it))), daemon=True).start()
    deadline = time.monotonic() + _TIMEOUT_S
    found: dict[str, Diagnosis] = {}
    while len(found) < len(addresses):
        try:
            address, diagnosis = results.get(timeout=max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            break
        found[address] = diagnosis
    for address in addresses:
        late = (
            f"{address} could not be resolved within {_TIMEOUT_S:g} s; check the name servers (/etc/resolv.conf)"
        )
        yield found.get(address) or warning(_SUBJECT, late)


def check_address(address: str) -> Diagnosis:
    """Resolve "host:port", and connect to each IP address until one accepts."""
    host, port = split(address)
    try:
        resolved = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or "no host name"
        return warning(
            _SUBJECT, f"{host} cannot be resolved ({reason}); check bootstrap.servers, and the name servers"
        )
    failures = {}
    for family, kind, protocol, _, place in resolved:
        ip = str(place[0])
        began = time.monotonic()
        try:
            with socket.socket(family, kind, protocol) as connection:
                connection.settimeout(_CONNECT_TIMEOUT_S)
                connection.connect(place)
        except OSError as error:
            failures[ip] = error.strerror or f"no answer in {_CONNECT_TIMEOUT_S:g} s"
            continue
        milliseconds = (time.monotonic() - began) * 1000
        where = "" if ip == host else f" is {ip}, and"
        failed = "".join(f"; {each} does not: {why}" for each, why in failures.items())
        return fine(_SUBJECT, f"{host}:{port}{where} accepts connections ({milliseconds:.0f} ms){failed}")
    reasons = ", ".join(f"{ip}: {why}" if ip != host else why for ip, why in failures.items())
    return warning(
        _SUBJECT,
        f"{host}:{port} accepts no connections ({reasons}); check bootstrap.servers, that the broker is running, "
        "and the firewalls in between",
    )


def addresses_in(servers: str) -> list[str]:
    """Return the different addresses in a list of them, without their protocols."""
    return list(dict.fromkeys(each.strip().rpartition("://")[2] for each in servers.split(",") if each.strip()))


def split(address: str) -> tuple[str, int]:
    """Return host and port; the port that librdkafka takes if none is given.

    >>> split("kafka:9093"), split("kafka"), split("[::1]:9092")
    (('kafka', 9093), ('kafka', 9092), ('::1', 9092))
    """
    host, colon, port = address.rpartition(":")
    if not colon or address.endswith("]"):
        host, port = address, str(_DEFAULT_PORT)
    return host.strip("[]"), int(port)
