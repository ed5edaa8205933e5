"""What the doctor says of certificates."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from dfud.broker.ports import HOST
from dfud.doctor.certificates import check_certificates, expiry, judge
from dfud.doctor.diagnosis import Level
from dfud.kafka.user_settings import UserSettings
from tests.faults.access import Authority
from tests.helpers.unavailable import UnavailableError

NOW = datetime(2026, 3, 1, 12, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("days", "is_ours", "level"),
    [
        (100, True, Level.FINE),
        (20, True, Level.WARNING),
        (20, False, Level.WARNING),
        (-1, True, Level.STOPS),
        (-1, False, Level.WARNING),
    ],
)
def test_what_an_expiry_means(days: int, is_ours: bool, level: Level) -> None:
    (found,) = judge("that of x", NOW + timedelta(days), NOW, is_ours)
    assert found.level is level
    assert list(judge("that of x", None, NOW, is_ours)) == []


def test_the_certificates_of_the_file_and_of_a_broker_are_read(tmp_path: Path) -> None:
    try:
        authority = Authority(tmp_path / "authority")
    except UnavailableError as error:
        pytest.skip(str(error))
    both = authority.server()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(both)
    with socket.create_server((HOST, 0)) as listening:

        def serve() -> None:
            connection, _ = listening.accept()
            with contextlib.suppress(OSError), context.wrap_socket(connection, server_side=True) as encrypted:
                encrypted.recv(1)

        thread = threading.Thread(target=serve)
        thread.start()
        properties = {
            "bootstrap.servers": f"{HOST}:{listening.getsockname()[1]}",
            "security.protocol": "SSL",
            "ssl.ca.location": str(authority.certificate),
            "ssl.certificate.pem": both.read_text(),
        }
        found = list(check_certificates(UserSettings(properties, "producer"), datetime.now(timezone.utc)))
        thread.join()
    assert [each.text.split(" is valid")[0] for each in found] == [
        "that of ssl.certificate",
        "that of ssl.ca",
        f"that of the broker at {properties['bootstrap.servers']}",
    ]
    assert all(each.level is Level.WARNING and "1 day from now" in each.text for each in found)


def test_without_tls_there_are_none() -> None:
    assert list(check_certificates(UserSettings({"bootstrap.servers": "kafka"}, "producer"), NOW)) == []


def test_both_forms_of_a_time_are_read() -> None:
    utc = b"\x30\x1e\x17\x0d490101000000Z\x17\x0d491231235959Z"
    general = b"\x30\x22\x18\x0f20490101000000Z\x18\x0f20501231235959Z"
    mixed = b"\x30\x20\x17\x0d700101000000Z\x18\x0f20501231235959Z"
    assert expiry(b"xx" + utc) == datetime(2049, 12, 31, 23, 59, 59, tzinfo=timezone.utc)
    assert expiry(general) == expiry(mixed) == datetime(2050, 12, 31, 23, 59, 59, tzinfo=timezone.utc)
    assert expiry(b"none") is None
