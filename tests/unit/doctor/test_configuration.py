"""What the doctor says of a configuration file."""

from __future__ import annotations

from pathlib import Path

import pytest

from dfud.doctor.configuration import examine_configuration, security_in_words
from dfud.doctor.diagnosis import Level
from dfud.kafka.user_settings import UserSettings
from tests.helpers.doctoring import levels


def test_all_faults_are_named_at_once(tmp_path: Path) -> None:
    path = tmp_path / "the.config"
    path.write_text(
        "[broker]\nbootstrap.servers = http://kafka:9092\nsasl.username = me\nsasl.password = $NOT_SET\n"
        "[producer]\nacks = 0\nlinger.ms = soon\nvalue.serializer = StringSerializer\nretries = 0\n"
    )
    diagnoses, config = examine_configuration(str(path))
    assert config is None
    texts = [each.text for each in diagnoses if each.level is Level.STOPS]
    for words in ("NOT_SET", "linger.ms", "bootstrap.servers", "sasl.username", "acks = 0", "value.serializer"):
        assert sum(words in text for text in texts) == 1, (words, texts)
    assert [each.text[:11] for each in diagnoses if each.level is Level.WARNING] == ["retries = 0"]


def test_a_file_that_cannot_be_read_is_one_diagnosis(tmp_path: Path) -> None:
    ((level, _, text),), config = examine_configuration(str(tmp_path / "none"))
    assert (level, config) == (Level.STOPS, None)
    assert text.startswith("cannot read the config file")


@pytest.mark.parametrize(
    ("mode", "password", "is_told"),
    [(0o644, "hunter22", True), (0o640, "hunter22", False), (0o644, "$FROM_ELSEWHERE", False)],
)
def test_a_password_that_everybody_can_read_is_told_and_not_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: int, password: str, is_told: bool
) -> None:
    monkeypatch.setenv("FROM_ELSEWHERE", "hunter22")
    path = tmp_path / "the.config"
    path.write_text(
        "[broker]\nbootstrap.servers = kafka\nsecurity.protocol = SASL_SSL\nsasl.mechanism = PLAIN\n"
        f"sasl.username = me\nsasl.password = {password}\n"
    )
    path.chmod(mode)
    diagnoses, config = examine_configuration(str(path))
    assert config is not None
    assert [each.level for each in diagnoses if "read by everybody" in each.text] == [Level.WARNING] * is_told
    assert not any("hunter22" in each.text for each in diagnoses)
    assert levels(diagnoses)["security"] is Level.FINE


@pytest.mark.parametrize(
    ("properties", "words"),
    [
        (
            {"security.protocol": "SSL"},
            "all is encrypted, a broker has to show a certificate of a CA of this system",
        ),
        ({"security.protocol": "ssl", "ssl.ca.location": "/ca"}, "certificate of /ca with its own name in it"),
        ({"security.protocol": "SSL", "enable.ssl.certificate.verification": "false"}, "show any certificate"),
        (
            {"security.protocol": "SSL", "ssl.certificate.location": "/own"},
            "shows that of ssl.certificate.location",
        ),
        (
            {"security.protocol": "SASL_PLAINTEXT", "sasl.mechanisms": "SCRAM-SHA-512", "sasl.username": "me"},
            "SASL_PLAINTEXT: nothing is encrypted, and user me logs in by SCRAM-SHA-512",
        ),
    ],
)
def test_security_is_put_into_words(properties: dict[str, str], words: str) -> None:
    assert words in security_in_words(UserSettings(properties, "producer"))
