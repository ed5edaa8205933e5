"""Whatever is wrong with a configuration file, no secret in it is shown."""

from __future__ import annotations

from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer
from hypothesis import given
from hypothesis import strategies as st

from dfud.errors import UsageError
from dfud.kafka.config import ClientConfig, read_config
from dfud.kafka.properties import consumer_properties, producer_properties
from dfud.kafka.topic_probe import TopicProbe

SECRET = "hunter2x"
HEAD = (
    "[broker]\nbootstrap.servers = a:1\nsecurity.protocol = SASL_SSL\nsasl.mechanism = PLAIN\nsasl.username = u\n"
)
GOOD = HEAD + f"sasl.password = {SECRET}\n"


def faults(tmp_path: Path, content: str | bytes, client: str) -> str:
    """Return the error and the warnings for a file, up to the point at which the broker would be asked."""
    path = tmp_path / "file.config"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    config = ClientConfig("", {})
    try:
        config = read_config(str(path), client, {})
        if client == "producer":
            TopicProbe(Producer, "T", producer_properties(config, 16384, 1 << 25), str(path))
        else:
            TopicProbe(Consumer, "T", consumer_properties(config, "g"), str(path))
    except UsageError as error:
        return "\n".join([str(error), *config.warnings])
    return "\n".join(config.warnings)


@pytest.mark.parametrize("client", ["producer", "consumer"])
@pytest.mark.parametrize(
    ("content", "words"),
    [
        pytest.param(HEAD + f"sasl.password {SECRET}\n", "line 6 has no `=`", id="no ="),
        pytest.param(f"sasl.password = {SECRET}\n" + HEAD, "line 1 comes before any section", id="no section"),
        pytest.param(GOOD + f"sasl.password = {SECRET}\n", "line 7: the setting 'sasl.password'", id="twice"),
        pytest.param(GOOD + f"[{SECRET}]\n[{SECRET}]\n", "line 8: its section", id="section twice"),
        pytest.param(
            GOOD + f"{SECRET} = 1\n{SECRET} = 1\n",
            "line 8: the setting in section 'broker' already",
            id="unknown twice",
        ),
        pytest.param(HEAD + f"sasl.password = {SECRET}%\n", "line 6 of the config file", id="percent"),
        pytest.param(HEAD + f"sasl.password = %({SECRET})s\n", "line 6 of the config file", id="interpolation"),
        pytest.param(HEAD + f"sasl.password = %(x\n  {SECRET}\n", "line 6 of the config file", id="broken %"),
        pytest.param(HEAD + f"sasl.password =\n{SECRET}\n", "line 7 has no `=`", id="next line"),
        pytest.param(HEAD + f"sasl.password =\n{SECRET}==\n", "line 7 in [broker]", id="next line, with ="),
        pytest.param(GOOD + f"{SECRET} = 1\n", "line 7 in [broker]", id="a secret as a name"),
        pytest.param(GOOD + f"{SECRET} = 'x'\n", "line 7 in [broker]", id="a secret as a name, quoted"),
        pytest.param(HEAD + f"sasl.password = ${SECRET}\n", "names an environment variable", id="begins with $"),
        pytest.param(HEAD + f"sasl.password = x\n  {SECRET}\n", "the next line", id="two lines"),
        pytest.param(GOOD.replace("= u", f"= u\n  sasl.password = {SECRET}", 1), "next line", id="indented"),
        pytest.param(GOOD.encode() + b"\xff\n", "line 7 is not UTF-8", id="bytes"),
        pytest.param(GOOD.replace("PLAIN", SECRET), "sasl.mechanism in", id="mechanism"),
        pytest.param(GOOD.replace("SASL_SSL", SECRET), "security.protocol in", id="protocol"),
        pytest.param(GOOD.replace("a:1", f"https://u:{SECRET}@a:1"), "bootstrap.servers in", id="URL"),
        pytest.param(GOOD.replace("a:1", f"a:{SECRET}"), "bootstrap.servers in", id="port"),
        pytest.param(GOOD + f"acks = {SECRET}\n", "acks in", id="number"),
        pytest.param(GOOD + f"enable.idempotence = {SECRET}\n", "enable.idempotence in", id="boolean"),
        pytest.param(GOOD + f"compression.type = {SECRET}\n", "compression.type in", id="choice"),
        pytest.param(
            GOOD + f"metadata.recovery.strategy = {SECRET}\n", "metadata.recovery.strategy", id="librdkafka"
        ),
        pytest.param(GOOD + f"ssl.key.pem = {SECRET}\n", "ssl.key.pem in", id="no PEM"),
        pytest.param(GOOD + f"ssl.key.pem = -----BEGIN X-----\n{SECRET}\n", "indent it", id="PEM not indented"),
        pytest.param(
            GOOD + f"ssl.key.pem = -----BEGIN X-----\n  {SECRET}\n  -----END X-----\n", "ssl.key.pem", id="bad PEM"
        ),
        pytest.param(GOOD + f"sasl.jaas.config = x password='{SECRET}'\n", "sasl.username", id="JAAS"),
        pytest.param(GOOD + f"debug = {SECRET}\n", "debug", id="debug"),
        pytest.param(GOOD.replace(SECRET, f'"{SECRET}"'), "sasl.password in [broker] of", id="quotes"),
    ],
)
def test_no_secret_is_shown(tmp_path: Path, content: str | bytes, words: str, client: str) -> None:
    text = faults(tmp_path, content, client)
    assert words in text
    assert SECRET not in text
    assert SECRET.lower() not in text.lower()


@given(st.integers(0, len(GOOD)), st.text("\n =%:[]#;$\t\\\"'", min_size=1, max_size=3))
def test_no_secret_is_shown_for_a_slip_of_the_keyboard(
    tmp_path_factory: pytest.TempPathFactory, at: int, typed: str
) -> None:
    if GOOD.index(SECRET) < at < GOOD.index(SECRET) + len(SECRET):
        at = 0
    path = tmp_path_factory.getbasetemp() / "slip.config"
    path.write_text(GOOD[:at] + typed + GOOD[at:])
    try:
        text = " ".join(read_config(str(path), "producer", {}).warnings)
    except UsageError as error:
        text = str(error)
    assert SECRET not in text


def test_a_missing_variable_is_named_and_its_value_never(tmp_path: Path) -> None:
    path = tmp_path / "file.config"
    path.write_text(HEAD + "sasl.password = $KAFKA_PASSWORD\n")
    with pytest.raises(UsageError, match="environment variable KAFKA_PASSWORD, which is not set"):
        read_config(str(path), "producer", {})
    path.write_text(HEAD.replace("PLAIN", "$KAFKA_PASSWORD"))
    with pytest.raises(UsageError) as error:
        read_config(str(path), "producer", {"KAFKA_PASSWORD": SECRET})
    assert SECRET not in str(error.value)
