"""librdkafka's errors, in the user's words and without secrets."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer

from dfud.errors import UsageError
from dfud.kafka.client_errors import hide_secrets, settings_fault
from dfud.kafka.topic_probe import TopicProbe

SECRET = "hunter2x"


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two certificates and their keys, one of which is encrypted, and a keystore."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    folder = tmp_path_factory.mktemp("keys")
    make = ["req", "-x509", "-newkey", "rsa:2048", "-subj", "/CN=x"]
    for words in (
        [*make, "-passout", f"pass:{SECRET}", "-keyout", "locked.key", "-out", "locked.pem"],
        [*make, "-nodes", "-keyout", "open.key", "-out", "open.pem"],
        [
            "pkcs12",
            "-export",
            "-inkey",
            "open.key",
            "-in",
            "open.pem",
            "-passout",
            f"pass:{SECRET}",
            "-out",
            "p12",
        ],
    ):
        subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True, stdin=subprocess.DEVNULL)
    return folder


@pytest.mark.parametrize(
    ("settings", "fault"),
    [
        ({"ssl.key.location": "locked.key"}, "ssl.key.location cannot be used: it is damaged, or it needs an "),
        (
            {"ssl.key.location": "locked.key", "ssl.key.password": f"{SECRET}y"},
            "ssl.key.location cannot be used: it is damaged, or ssl.key.password is wrong",
        ),
        ({"ssl.key.location": "open.key"}, "is not that of the certificate"),
        (
            {"ssl.keystore.location": "p12", "ssl.keystore.password": f"{SECRET}y"},
            "ssl.keystore.password is not the password of the file ssl.keystore.location",
        ),
    ],
)
def test_keys_and_their_passwords(keys: Path, settings: dict[str, str], fault: str) -> None:
    paths = {name: str(keys / value) if name.endswith("location") else value for name, value in settings.items()}
    if "ssl.keystore.location" not in paths:
        paths["ssl.certificate.location"] = str(keys / "locked.pem")
    with pytest.raises(UsageError) as error:
        TopicProbe(Producer, "T", {"security.protocol": "SSL", **paths}, "file")
    assert fault in str(error.value)
    assert SECRET not in str(error.value)


def test_librdkafkas_own_texts_lose_what_is_secret() -> None:
    properties: dict[str, Any] = {"sasl.oauthbearer.config": f"principal=x {SECRET}=y", "client.id": "dfud"}
    text = f"Unrecognized sasl.oauthbearer.config beginning at: {SECRET}=y"
    assert SECRET not in hide_secrets(text, properties)
    assert "beginning at" in hide_secrets(text, properties)


@pytest.mark.parametrize(
    ("text", "properties", "fault"),
    [
        (
            'No such configuration property: "linger.mss"',
            {},
            "linger.mss is no setting of librdkafka; linger.ms is similar",
        ),
        (
            'No such configuration property: "no.such"',
            {},
            "no.such is no setting of librdkafka; remove it, or indent what continues the value before it",
        ),
        (
            'Configuration property "queue.buffering.max.ms" value 1e+11 is outside allowed range 0..900000\n',
            {"linger.ms": "99999999999"},
            "linger.ms is not from 0 to 900000; change or remove it",
        ),
        (
            'Invalid value "zip" for configuration property "compression.codec"',
            {"compression.type": "zip"},
            "compression.type has a value that librdkafka refuses; change or remove it",
        ),
    ],
)
def test_what_librdkafka_refuses_in_the_users_words(text: str, properties: dict[str, str], fault: str) -> None:
    assert settings_fault(text, properties) == fault
