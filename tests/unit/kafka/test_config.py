"""The configuration file: what is read from it, and one clear line for each fault in it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Union

import pytest

from dfud.errors import UsageError
from dfud.kafka.config import ClientConfig, read_config, take_wire_format

GOOD = "[broker]\nbootstrap.servers = host:9092\n[producer]\nlinger.ms = 5\n"


Write = Callable[[Union[str, bytes]], str]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(content: str | bytes) -> str:
        path = tmp_path / "file.config"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return str(path)

    return write


def test_both_sections_are_read_and_the_clients_takes_precedence(write: Write) -> None:
    path = write(
        GOOD.replace("host:9092", "host:9092\nlinger.ms = 1\nAcks = all") + "[consumer]\ngroup.id = $NO\n"
    )
    assert read_config(path, "producer", {}) == ClientConfig(
        path, {"bootstrap.servers": "host:9092", "linger.ms": "5", "acks": "all"}
    )


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"\xef\xbb\xbf" + GOOD.encode(), id="byte order mark"),
        pytest.param(GOOD.replace("\n", "\r\n"), id="Windows line endings"),
        pytest.param(
            "# comment\n; comment\n" + GOOD.replace("[producer]", "[producer]\n# comment"), id="comments"
        ),
        pytest.param(GOOD.replace(" = ", ":"), id="colons"),
        pytest.param("[DEFAULT]\nlinger.ms = 7\n" + GOOD, id="defaults"),
    ],
)
def test_files_as_people_write_them(write: Write, content: str | bytes) -> None:
    assert read_config(write(content), "producer", {}).properties == {
        "bootstrap.servers": "host:9092",
        "linger.ms": "5",
    }


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("$PASSWORD", "se$cret%"),
        ("${PASSWORD}", "se$cret%"),
        ("x$PASSWORD", "x$PASSWORD"),
        ("$PASSWORD ", "se$cret%"),
        ("$", "$"),
        ("$PASSWORD-$NO_SUCH", "se$cret%-$NO_SUCH"),
        ("a%%b", "a%b"),
        ("host:1 ; no comment", "host:1 ; no comment"),
        ("", ""),
    ],
)
def test_values(write: Write, value: str, expected: str) -> None:
    config = read_config(write(f"{GOOD}client.rack = {value}\n"), "producer", {"PASSWORD": "se$cret%"})
    assert config.properties["client.rack"] == expected


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param("", "has no section [broker]", id="empty"),
        pytest.param("[producer]\n", "has no section [broker]", id="no broker"),
        pytest.param("[broker]\n[producer]\n", "does not set bootstrap.servers", id="no servers"),
        pytest.param("[broker]\nbootstrap.servers =\n[producer]\n", "bootstrap.servers", id="empty servers"),
        pytest.param("bootstrap.servers = x\n" + GOOD, "is not a valid INI file", id="before any section"),
        pytest.param(GOOD + "just words\n", "is not a valid INI file", id="no value"),
        pytest.param(GOOD + "linger.ms = 6\n", "'linger.ms' in section 'producer'", id="twice"),
        pytest.param(GOOD + "[broker]\n", "section 'broker' already exists", id="section twice"),
        pytest.param(GOOD + "[producer\n", "is not a valid INI file", id="no bracket"),
        pytest.param(GOOD + "sasl.password = 50%\n", "a single % in a value of [producer]; write %%", id="%"),
        pytest.param(GOOD + "sasl.password = %(x)s\n", "a single % in a value of [producer]", id="%()"),
        pytest.param(
            GOOD + "sasl.password = $NO_SUCH\n",
            "sasl.password in [producer] of {} is taken from the environment variable NO_SUCH, which is not set",
            id="variable",
        ),
        pytest.param(b"\xff\xfe[\x00b", "is not a valid INI file", id="not UTF-8"),
        pytest.param(b"\x00\x01\x02", "is not a valid INI file", id="binary"),
    ],
)
def test_a_fault_is_reported_in_one_line(write: Write, content: str | bytes, message: str) -> None:
    path = write(content)
    with pytest.raises(UsageError) as error:
        read_config(path, "producer", {})
    text = str(error.value)
    assert path in text
    assert message.format(path) in text
    assert "\n" not in text


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    for path, reason in ((tmp_path / "nothing", "No such file .*; give the path"), (tmp_path, "Is a directory")):
        with pytest.raises(UsageError, match=rf"cannot read the config file {path}: {reason}"):
            read_config(str(path), "producer", {})


OURS = {"key.serializer": "StringSerializer", "value.serializer": "DataFileChunkSerializer"}


@pytest.mark.parametrize(
    "serializers",
    [
        {"key.serializer": "JSONSerializer"},
        {"value.serializer": "DataFileChunkSerializer"},
        {"key.serializer": "StringSerializer"},
        {**OURS, "key.serializer": "IntegerSerializer"},
    ],
)
def test_serializers_that_are_not_ours(serializers: dict[str, str]) -> None:
    with pytest.raises(UsageError) as error:
        take_wire_format(ClientConfig("file", {"a": "b", **serializers}))
    for key, value in serializers.items():
        assert f"{key} = {value}" in str(error.value)
    assert "in file selects no wire format" in str(error.value)


@pytest.mark.parametrize(
    ("serializers", "wire"), [({}, "native"), ({"key.serializer": ""}, "native"), (OURS, "openmsistream")]
)
def test_wire_formats(serializers: dict[str, str], wire: str) -> None:
    assert take_wire_format(ClientConfig("file", {"a": "b", **serializers}))[:3] == ("file", {"a": "b"}, wire)


def test_openmsistreams_own_settings(write: Write) -> None:
    assert "node_id" not in read_config(write(GOOD + "node_id = x\n"), "producer", {}).properties
    with pytest.raises(UsageError, match=r"\[kafkacrypto\]"):
        read_config(write(GOOD + "[kafkacrypto]\n"), "producer", {})
