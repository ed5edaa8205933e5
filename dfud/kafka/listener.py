"""What answers at an address: a broker's listener and its security protocol, or something that is no broker.

A client that speaks another protocol than a listener learns only that its connection is closed. This asks in each
protocol in turn, with a request that any broker answers and that changes nothing.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
from typing import NamedTuple

_TIMEOUT_S = 1.0  # for a connection, and for each answer
_SASL_HANDSHAKE, _VERSION, _CORRELATION_ID = 17, 1, 0x64667564
_UNSUPPORTED_MECHANISM, _NO_SASL_HERE = 33, 34  # error codes of Kafka
_MAX_ANSWER_BYTES = 4096
_TLS_ALERT = b"\x15\x03"

PROTOCOLS = ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")  # values of security.protocol
TLS = "TLS"  # of these, one of those with SSL in its name
HTTP, SILENT, CLOSING, OTHER = "HTTP", "silent", "closing", "other"


class Listener(NamedTuple):
    """What listens at an address."""

    kind: str  # one of PROTOCOLS, TLS, HTTP, SILENT (accepts and says nothing), CLOSING (closes) or OTHER
    mechanisms: tuple[str, ...] = ()  # of SASL


def identify(address: str) -> Listener | None:
    """Return what listens at "host:port", after at most a few seconds; None if no connection is possible."""
    plain = _ask(address, tls=False)
    if plain is None or plain.kind in (*PROTOCOLS, HTTP):
        return plain
    encrypted = _ask(address, tls=True)
    return plain if encrypted is None else encrypted


def mismatch(listener: Listener, protocol: str) -> tuple[str, str] | None:
    """Return why a client of `protocol` cannot use `listener` for certain, and what to do; None if it may."""
    protocol = protocol.upper()
    if listener.kind == HTTP:
        return "an HTTP server answers there, not a Kafka broker", "check the port in bootstrap.servers"
    if listener.kind == TLS and "SSL" not in protocol:
        return (
            f"the listener there speaks TLS, security.protocol is {protocol}",
            "set security.protocol = SSL or SASL_SSL",
        )
    if listener.kind in PROTOCOLS and listener.kind != protocol:
        advice = f"set security.protocol = {listener.kind}"
        if listener.mechanisms:
            advice += f" (its sasl.mechanism is one of {', '.join(listener.mechanisms)})"
        return f"the broker's listener there speaks {listener.kind}, security.protocol is {protocol}", advice
    return None


def describe(listener: Listener) -> tuple[str, str] | None:
    """Return what is odd about a listener that may not be a broker's, and what to check; None if nothing is."""
    advice = "check the port in bootstrap.servers, and security.protocol"
    if listener.kind == SILENT:
        return "it accepts connections and answers nothing", advice
    if listener.kind == CLOSING:
        return "it accepts connections and closes them", advice
    if listener.kind == OTHER:
        return "what answers there is not a Kafka broker", advice
    return None


def _ask(address: str, tls: bool) -> Listener | None:
    """Ask for the SASL mechanisms; None if no connection is possible, or no TLS."""
    host, _, port = address.rpartition(":")
    try:
        connection = socket.create_connection((host.strip("[]"), int(port)), _TIMEOUT_S)
    except (OSError, ValueError):
        return None
    with contextlib.closing(connection):
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE  # nothing is told or believed: what counts is that it speaks TLS
            try:
                connection = context.wrap_socket(connection)
            except (OSError, ValueError):
                return None
        with contextlib.closing(connection):
            if tls and not connection.version():  # type: ignore[attr-defined]
                return None  # it was reset before: Python then leaves out the handshake, and says nothing
            try:
                connection.settimeout(_TIMEOUT_S)
                connection.sendall(_request())
                answer = connection.recv(_MAX_ANSWER_BYTES)
            except socket.timeout:
                return Listener(TLS if tls else SILENT)
            except OSError:
                answer = b""
    return _understand(answer, tls)


def _request() -> bytes:
    """Return a handshake for a mechanism that no broker has, so that it lists those that it has."""
    body = struct.pack(">hhih4sh4s", _SASL_HANDSHAKE, _VERSION, _CORRELATION_ID, 4, b"dfud", 4, b"none")
    return struct.pack(">i", len(body)) + body


def _understand(answer: bytes, tls: bool) -> Listener:
    if answer.startswith(b"HTTP/"):
        return Listener(HTTP)
    if len(answer) >= 14 and answer[4:8] == struct.pack(">i", _CORRELATION_ID):
        code, n_mechanisms = struct.unpack_from(">hi", answer, 8)
        if code == _NO_SASL_HERE:
            return Listener("SSL" if tls else "PLAINTEXT")
        if code == _UNSUPPORTED_MECHANISM:
            return Listener("SASL_SSL" if tls else "SASL_PLAINTEXT", _strings(answer[14:], n_mechanisms))
    if tls or answer.startswith(_TLS_ALERT):
        return Listener(TLS)  # a broker that wants a certificate of ours closes the connection
    return Listener(OTHER if answer else CLOSING)


def _strings(data: bytes, count: int) -> tuple[str, ...]:
    strings: list[str] = []
    at = 0
    while len(strings) < count and at + 2 <= len(data):
        (length,) = struct.unpack_from(">h", data, at)
        strings.append(data[at + 2 : at + 2 + length].decode("ascii", "replace"))
        at += 2 + max(0, length)
    return tuple(strings)
