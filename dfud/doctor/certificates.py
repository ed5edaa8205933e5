"""How long the certificates are valid: those in the configuration, and those that brokers show."""

from __future__ import annotations

import contextlib
import re
import socket
import ssl
from collections.abc import Iterator
from datetime import datetime, timezone

from dfud.core.text import counted
from dfud.doctor.addresses import addresses_in, split
from dfud.doctor.diagnosis import Diagnosis, fine, stops, warning
from dfud.kafka.user_settings import UserSettings

_SUBJECT = "certificate"
_TIMEOUT_S = 2.0
_MAX_ADDRESSES = 3  # whose certificates are looked at
_SOON_DAYS = 21
_MAX_BYTES = 1 << 20
_PEM = re.compile(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)
# The two times of `Validity` (RFC 5280, 4.1.2.5) in DER, each with two or four digits of the year.
_TIME = rb"(?:\x17\x0d([0-9]{12})Z|\x18\x0f([0-9]{14})Z)"
_VALIDITY = re.compile(rb"\x30[\x1e\x20\x22]" + _TIME + _TIME)


def check_certificates(user: UserSettings, now: datetime) -> Iterator[Diagnosis]:
    """Say which certificates have expired at the time `now`, or soon will; nothing without TLS.

    Whether they suit each other is for librdkafka and the broker to say.
    """
    if "ssl" not in user.word("security.protocol"):
        return
    for name in ("ssl.certificate", "ssl.ca"):
        text = user.text(f"{name}.pem") or _content(user.text(f"{name}.location"))
        found = _PEM.findall(text)
        if len(found) == 1 or (found and name == "ssl.certificate"):  # the first of a chain is its own
            with contextlib.suppress(ValueError):
                yield from judge(f"that of {name}", expiry(ssl.PEM_cert_to_DER_cert(found[0])), now, is_ours=True)
    for address in addresses_in(user.text("bootstrap.servers"))[:_MAX_ADDRESSES]:
        with contextlib.suppress(OSError, ValueError):  # other checks say what is wrong with this address
            yield from judge(f"that of the broker at {address}", expiry(_shown_at(address)), now, is_ours=False)


def judge(which: str, expires: datetime | None, now: datetime, is_ours: bool) -> Iterator[Diagnosis]:
    """Judge when a certificate expires; that a broker's has expired is found out by librdkafka, too."""
    if expires is None:
        return
    days = (expires - now).days
    text = f"{which} is valid until {expires:%Y-%m-%d %H:%M} UTC"
    if days < 0:
        yield (stops if is_ours else warning)(_SUBJECT, f"{which} has expired at {expires:%Y-%m-%d}; renew it")
    elif days < _SOON_DAYS:
        yield warning(_SUBJECT, f"{text}, {counted(days, 'day')} from now; renew it")
    else:
        yield fine(_SUBJECT, text)


def expiry(der: bytes) -> datetime | None:
    """Return until when a certificate is valid; None if that is not found in it."""
    match = _VALIDITY.search(der)
    if match is None:
        return None
    short, long = match[3], match[4]
    if short is not None:
        century = b"20" if short[:2] < b"50" else b"19"
        long = century + short
    return datetime.strptime(long.decode("ascii"), "%Y%m%d%H%M%S").replace(tzinfo=timezone.utc)


def _shown_at(address: str) -> bytes:
    """Return the certificate that is shown at an address; OSError if there is none."""
    host, port = split(address)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # only its time is read
    with socket.create_connection((host, port), _TIMEOUT_S) as connection:
        with context.wrap_socket(connection, server_hostname=host) as encrypted:
            return encrypted.getpeercert(binary_form=True) or b""


def _content(path: str) -> str:
    with contextlib.suppress(OSError, ValueError), open(path, encoding="utf-8", errors="replace") as file:
        return file.read(_MAX_BYTES)
    return ""
