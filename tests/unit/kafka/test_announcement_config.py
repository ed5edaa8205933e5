"""Which settings the producers of heartbeats and log messages have: those that they have in OpenMSIStream."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from dfud.errors import UsageError
from dfud.kafka.announcement_config import AnnouncementConfig, read_announcement_config

FILE = """\
[broker]
bootstrap.servers = main:9092
security.protocol = SASL_SSL
sasl.mechanism = PLAIN
sasl.username = user
sasl.password = $SECRET

[producer]
linger.ms = 100
enable.idempotence = true
key.serializer = StringSerializer
value.serializer = DataFileChunkSerializer
"""
MAIN = {
    "bootstrap.servers": "main:9092",
    "security.protocol": "SASL_SSL",
    "sasl.mechanism": "PLAIN",
    "sasl.username": "user",
    "sasl.password": "hidden",
}

Read = Callable[[str], AnnouncementConfig]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """A function that reads the section [log] of FILE and more lines."""

    def read(lines: str) -> AnnouncementConfig:
        path = tmp_path / "file.config"
        path.write_text(FILE + lines)
        return read_announcement_config(str(path), "log", {"SECRET": "hidden"})

    return read


def of_user(config: AnnouncementConfig) -> dict[str, str]:
    return {
        name: value for name, value in config.properties.items() if isinstance(value, str) and name != "client.id"
    }


def test_without_a_section_of_its_own_it_is_a_producer_like_the_others(read: Read) -> None:
    config = read("")
    assert of_user(config) == {**MAIN, "linger.ms": "100"}
    assert config.properties["client.id"] == "dfud"
    assert config.warnings == ()


def test_a_separate_producer_has_its_own_section_instead(read: Read) -> None:
    config = read("[log]\nprefer.separate.producer = True\ncompression.type = lz4\nkey.serializer = x\n")
    assert of_user(config) == {**MAIN, "compression.type": "lz4"}


def test_another_broker_is_not_given_the_password_of_the_first(read: Read) -> None:
    config = read("[log]\nprefer.separate.producer = 1\nbootstrap.servers = other:9092\n")
    assert of_user(config) == {"bootstrap.servers": "other:9092"}


def test_a_section_that_has_no_effect_is_warned_of(read: Read) -> None:
    config = read("[log]\nnode_id = 1\nlog.level = info\nbootstrap.servers = other:9092\n")
    assert of_user(config)["bootstrap.servers"] == "main:9092"
    (warning,) = config.warnings
    assert "bootstrap.servers in [log] of " in warning
    assert "no effect without prefer.separate.producer = true" in warning


def test_level_and_number_of_the_lines(read: Read) -> None:
    assert read("")[1:3] == (None, 65536)
    assert read("[log]\nlog.level = WARNING\nmax.logs.per.message = 9\n")[1:3] == (logging.WARNING, 9)
    assert read("[log]\nlog.level = 10\n").level == logging.DEBUG


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ("prefer.separate.producer = maybe", "prefer.separate.producer in .log. of .* is neither true nor false"),
        ("log.level = loud", "log.level in .log. of .* is not a level"),
        ("max.logs.per.message = 0", "max.logs.per.message in .log. of .* is not a number of lines"),
        ("prefer.separate.producer = 1\nsecurity.protocol = plaintext", "nobody would be authenticated"),
        ("prefer.separate.producer = 1\nno.such = 1", "no.such in .log. of .* is no setting of librdkafka"),
        ("prefer.separate.producer = 1\nbootstrap.servers =", "does not set bootstrap.servers"),
    ],
)
def test_what_cannot_be_meant_is_refused(read: Read, lines: str, reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        read(f"[log]\n{lines}\n")
