"""Each row of the table of settings does what it says, and the document shows the table."""

from __future__ import annotations

from pathlib import Path

import pytest

from dfud.errors import UsageError
from dfud.kafka.config import ClientConfig, read_config
from dfud.kafka.properties import producer_properties
from dfud.kafka.setting_rules import RULES, Effect, Rule
from tests.helpers import settings_table

CHUNK_SIZE = 524288
_SASL = "security.protocol = SASL_PLAINTEXT\nsasl.username = u\nsasl.password = p\n"

# By row: the lines that it is about.
EXAMPLES = {
    ("acks", "0 in any spelling"): "acks = 00",
    ("acks", "2 and more"): "acks = 2",
    ("acks", "1"): "request.required.acks = 1",
    ("transactional.id", "any"): "transactional.id = 0",
    ("delivery.report.only.error", "true"): "delivery.report.only.error = T",
    ("enabled_events", "not 0"): "enabled_events = 2",
    ("api.version.request", "false"): "api.version.request = 0",
    ("api.version.fallback.ms", "not 0"): "api.version.fallback.ms = 1000",
    ("enable.idempotence", "false, and `max.in.flight` is not 1"): "enable.idempotence = False",
    ("max.in.flight", "more than 5"): "max.in.flight.requests.per.connection = 6",
    ("queue.buffering.backpressure.threshold", "more than 1"): "queue.buffering.backpressure.threshold = 2",
    ("retries", "0"): "message.send.max.retries = 0",
    ("queuing.strategy", "lifo"): "queuing.strategy = lifo",
    ("partitioner", "random, with dfud's own messages"): "partitioner = random",
    ("message.timeout.ms", "0"): "message.timeout.ms = 0",
    ("message.timeout.ms", "less than 10,000"): "delivery.timeout.ms = 9999",
    ("socket.timeout.ms", "less than 1,000"): "socket.timeout.ms = 999",
    ("request.timeout.ms", "less than 1,000"): "request.timeout.ms = 10",
    ("topic.metadata.refresh.interval.ms", "-1"): "topic.metadata.refresh.interval.ms = -1",
    ("queue.buffering.max.kbytes", "less than a chunk and 9 KiB"): "queue.buffering.max.kbytes = 520",
    ("message.max.bytes", "less than a chunk and 1 KiB"): "message.max.bytes = 524288",
    ("group.instance.id", "any"): "group.instance.id = x",
    ("auto.offset.reset", "latest, largest, end"): "auto.offset.reset = latest",
    ("enable.auto.commit", "true"): "enable.auto.commit = true",
    ("enable.auto.offset.store", "true"): "enable.auto.offset.store = true",
    ("offset.store.method", "none, file"): "offset.store.method = file",
    ("isolation.level", "read_uncommitted"): "isolation.level = read_uncommitted",
    ("allow.auto.create.topics", "true"): "allow.auto.create.topics = true",
    (
        "security.protocol",
        "none or without SASL, with `sasl.*`; none or without SSL, with `ssl.*`",
    ): "sasl.username = u",
    ("sasl.mechanism", "unknown, or without what it needs"): _SASL + "sasl.mechanism = SHA",
    ("sasl.mechanism", "PLAIN, OAUTHBEARER"): _SASL + "sasl.mechanism = PLAIN",
    ("enable.sasl.oauthbearer.unsecure.jwt", "true"): "enable.sasl.oauthbearer.unsecure.jwt = true",
    ("enable.ssl.certificate.verification", "false"): "enable.ssl.certificate.verification = false",
    ("ssl.endpoint.identification.algorithm", "none"): (
        "security.protocol = ssl\nssl.endpoint.identification.algorithm = none"
    ),
    ("ssl.*.location", "a file that cannot be read"): "security.protocol = ssl\nssl.key.location = /none",
    ("plugin.library.paths", "any"): "plugin.library.paths = x",
    ("ssl.engine.location", "any"): "security.protocol = ssl\nssl.engine.location = /x",
    ("internal.termination.signal", "not 0"): "internal.termination.signal = 9",
    ("debug", "any"): "debug = all",
    ("statistics.interval.ms", "not 0"): "statistics.interval.ms = 1000",
    ("*_cb, interceptors, logger, opaque and the like", "any"): "error_cb = print",
}


def configure(tmp_path: Path, client: str, lines: str) -> ClientConfig:
    """Read a file with these lines in the section of the client, and make the properties of a producer."""
    path = tmp_path / "file.config"
    path.write_text(f"[broker]\nbootstrap.servers = a:1\n[{client}]\n{lines}\n")
    config = read_config(str(path), client, {})
    if client == "producer":
        producer_properties(config, CHUNK_SIZE, 1 << 25)
    return config


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: f"{rule.name} {rule.values}")
def test_each_row_does_what_it_says(tmp_path: Path, rule: Rule) -> None:
    lines = EXAMPLES.get((rule.name, rule.values), "")
    client = "consumer" if rule.client == "consumer" else "producer"
    if rule.effect is Effect.REFUSES:
        with pytest.raises(UsageError, match=r"in .*file.config"):
            configure(tmp_path, client, lines)
    elif rule.effect is Effect.WARNS:
        (warning,) = configure(tmp_path, client, lines).warnings
        assert rule.text in warning
        name = lines.split("\n")[-1].split(" = ")[0]
        assert warning.startswith(name)
    else:
        assert not lines


def test_there_is_an_example_of_each_row() -> None:
    checked = {(rule.name, rule.values) for rule in RULES if rule.effect in (Effect.REFUSES, Effect.WARNS)}
    assert EXAMPLES.keys() == checked


def test_the_document_shows_the_table() -> None:
    assert settings_table.written_table() == settings_table.table(), "run python -m tests.helpers.settings_table"


@pytest.mark.parametrize("acks", ["0", "00", "+0", "-0", "0x0", "0;", "0.5", "000", " 0"])
@pytest.mark.parametrize("name", ["acks", "request.required.acks", "topic.acks", "topic.request.required.acks"])
def test_no_acknowledgement_in_any_spelling(tmp_path: Path, name: str, acks: str) -> None:
    with pytest.raises(UsageError, match=r"acks.* in .*file.config means that the broker acknowledges nothing"):
        configure(tmp_path, "producer", f"{name} = {acks}")


@pytest.mark.parametrize("acks", ["all", "-1", "ALL"])
def test_all_acknowledgements_in_any_spelling(tmp_path: Path, acks: str) -> None:
    assert configure(tmp_path, "producer", f"acks = {acks}").warnings == ()


def test_two_names_of_one_setting_with_two_values(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"request.required.acks in .* is another name of acks"):
        configure(tmp_path, "producer", "acks = 1\nrequest.required.acks = 0")


def test_the_section_of_the_client_decides_whatever_the_name(tmp_path: Path) -> None:
    path = tmp_path / "file.config"
    path.write_text("[broker]\nbootstrap.servers = a:1\nlinger.ms = 1\n[producer]\nqueue.buffering.max.ms = 2\n")
    properties = read_config(str(path), "producer", {}).properties
    assert properties == {"bootstrap.servers": "a:1", "queue.buffering.max.ms": "2"}


def test_the_least_queue_is_named_and_is_enough(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"--chunk_size 524288, .* set it to 521 or more"):
        configure(tmp_path, "producer", "queue.buffering.max.kbytes = 520")
    configure(tmp_path, "producer", "queue.buffering.max.kbytes = 521")


def test_openmsistreams_messages_are_spread_in_any_case(tmp_path: Path) -> None:
    serializers = "key.serializer = StringSerializer\nvalue.serializer = DataFileChunkSerializer\n"
    assert configure(tmp_path, "producer", serializers + "partitioner = random").warnings == ()


@pytest.mark.parametrize(
    ("client", "lines", "words"),
    [
        ("consumer", "acks = all", "acks in [consumer] of {} has no effect there; it belongs into [producer]"),
        ("producer", "isolation.level = read_committed", "it belongs into [consumer]"),
        ("producer", "[Producers]", "the section [Producers] of {} has no effect; rename it to [producer]"),
    ],
)
def test_what_has_no_effect_is_warned_of(tmp_path: Path, client: str, lines: str, words: str) -> None:
    path = tmp_path / "file.config"
    own = "" if lines.startswith("[") else f"[{client}]\n"
    path.write_text(f"[broker]\nbootstrap.servers = a:1\n{own}{lines}\n")
    (warning,) = read_config(str(path), client, {}).warnings
    assert words.format(path) in warning
