"""OpenMSIStream's configuration files work as they are."""

from __future__ import annotations

from pathlib import Path

import pytest

from dfud.errors import UsageError
from dfud.kafka.config import read_config, take_wire_format

FILE = """\
[kafka]
anything = %(of)s $OTHERS

[broker]
bootstrap.servers = $HOST:9092
sasl.mechanism    = PLAIN
security.protocol = SASL_SSL
sasl.username     = ${USER_NAME}
sasl.password     = $PASSWORD
client.id         = $HOST
client.rack       = in/$HOST
node_id           = 5

[producer]
batch.size       = 2000000
key.serializer   = StringSerializer
value.serializer = DataFileChunkSerializer

[consumer]
group.id = create_new
"""
ENVIRONMENT = {"HOST": "kafka", "USER_NAME": "u", "PASSWORD": "$ecret%"}


def write(tmp_path: Path, text: str) -> str:
    path = tmp_path / "file.config"
    path.write_text(text)
    return str(path)


def test_librdkafkas_properties_pass_through_and_openmsistreams_are_left_out(tmp_path: Path) -> None:
    config = take_wire_format(read_config(write(tmp_path, FILE), "producer", ENVIRONMENT))
    assert config.wire == "openmsistream"
    assert config.properties == {
        "bootstrap.servers": "kafka:9092",
        "sasl.mechanism": "PLAIN",
        "security.protocol": "SASL_SSL",
        "sasl.username": "u",
        "sasl.password": "$ecret%",
        "client.id": "kafka",
        "client.rack": "in/$HOST",
        "batch.size": "2000000",
    }


def test_a_value_that_only_looks_like_a_variable_is_kept(tmp_path: Path) -> None:
    text = FILE.replace("$PASSWORD", "$ecret!")
    assert read_config(write(tmp_path, text), "producer", ENVIRONMENT).properties["sasl.password"] == "$ecret!"


def test_without_serializers_the_messages_are_ours(tmp_path: Path) -> None:
    text = "[broker]\nbootstrap.servers = a:1\n[producer]\n"
    assert take_wire_format(read_config(write(tmp_path, text), "producer", {})).wire == "native"


@pytest.mark.parametrize(
    "lines",
    [
        pytest.param("key.serializer = StringSerializer", id="key alone"),
        pytest.param("value.serializer = DataFileChunkSerializer", id="value alone"),
        pytest.param(
            "key.serializer = StringSerializer\nvalue.serializer = StringSerializer", id="another value serializer"
        ),
        pytest.param(
            "key.serializer = IntegerSerializer\nvalue.serializer = DataFileChunkSerializer",
            id="another key serializer",
        ),
    ],
)
def test_any_other_serializer_is_an_error(tmp_path: Path, lines: str) -> None:
    path = write(tmp_path, f"[broker]\nbootstrap.servers = a:1\n[producer]\n{lines}\n")
    with pytest.raises(
        UsageError, match=r"serializer = \w+.* in .*file.config selects no wire format: set key.ser"
    ):
        take_wire_format(read_config(path, "producer", {}))


def test_encryption_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, FILE + "[kafkacrypto]\nnode_id = testing_node\n")
    with pytest.raises(UsageError, match=r"\[kafkacrypto\].* cannot encrypt"):
        read_config(path, "producer", ENVIRONMENT)
