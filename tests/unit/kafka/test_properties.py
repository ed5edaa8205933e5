"""The properties of our clients: the user's stay, ours fill in, and what would lose data is refused."""

from __future__ import annotations

import math

import pytest
from confluent_kafka import Producer
from hypothesis import given
from hypothesis import strategies as st

from dfud.errors import UsageError
from dfud.kafka.config import ClientConfig
from dfud.kafka.properties import (
    consumer_properties,
    fit_to_topic,
    group_id,
    lingers_by_load,
    message_bytes_needed,
    message_timeout,
    producer_properties,
)
from dfud.uploading.memory import MEGABYTE, divide


def properties(chunk_size: int = 16384, **by_user: str) -> dict[str, str | int | bool]:
    named = {name.replace("__", "."): value for name, value in by_user.items()}
    return producer_properties(
        ClientConfig("file", named), chunk_size, divide(500 * MEGABYTE, 2, chunk_size).librdkafka
    )


def test_nothing_is_lost_by_default() -> None:
    made = properties()
    assert made["enable.idempotence"] is True
    assert made["acks"] == "all"


@given(
    st.dictionaries(
        st.sampled_from(["linger.ms", "batch.size", "client.id", "compression.type", "partitioner", "x"]),
        st.text(max_size=5),
    )
)
def test_what_the_user_set_is_kept(by_user: dict[str, str]) -> None:
    made = producer_properties(ClientConfig("file", by_user), 16384, 64 * MEGABYTE)
    assert {name: made[name] for name in by_user} == by_user


@pytest.mark.parametrize(
    ("name", "value", "ours"),
    [
        ("queue.buffering.max.ms", "7", "linger.ms"),
        ("request.required.acks", "all", "acks"),
        ("request.required.acks", "-1", "acks"),
    ],
)
def test_no_default_if_the_user_set_the_alias(name: str, value: str, ours: str) -> None:
    made = producer_properties(ClientConfig("file", {name: value}), 16384, 64 * MEGABYTE)
    assert made[name] == value
    assert ours not in made
    assert made["enable.idempotence"] is True


@pytest.mark.parametrize("name", ["linger.ms", "queue.buffering.max.ms"])
def test_a_linger_that_the_user_set_is_not_cut_short(name: str) -> None:
    assert lingers_by_load(ClientConfig("file", {}))
    assert not lingers_by_load(ClientConfig("file", {name: "20"}))


@pytest.mark.parametrize(
    ("name", "value", "idempotent"),
    [
        ("acks", "1", False),
        ("acks", "-1", True),
        ("acks", "all", True),
        ("request.required.acks", "1", False),
        ("max.in.flight", "6", False),
        ("max.in.flight", "5", True),
        ("queue.buffering.backpressure.threshold", "2", False),
        ("queue.buffering.backpressure.threshold", "1", True),
        ("max.in.flight.requests.per.connection", "1000000", False),
        ("retries", "0", False),
        ("message.send.max.retries", "0", False),
        ("retries", "3", True),
        ("queuing.strategy", "lifo", False),
        ("queuing.strategy", "fifo", True),
    ],
)
def test_idempotence_is_left_off_if_the_users_settings_rule_it_out(
    name: str, value: str, idempotent: bool
) -> None:
    made = producer_properties(ClientConfig("file", {name: value}), 16384, 64 * MEGABYTE)
    assert made.get("enable.idempotence", False) is idempotent


def test_a_request_for_idempotence_is_left_to_librdkafka() -> None:
    assert properties(acks="1", enable__idempotence="true")["enable.idempotence"] == "true"
    assert properties(enable__idempotence="false")["enable.idempotence"] == "false"


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("acks", "0", "acks = 0 in file"),
        ("request.required.acks", "0", "acks = 0 in file"),
        ("transactional.id", "mine", "transactional.id in file asks for transactions"),
        ("delivery.report.only.error", "true", "delivery.report.only.error = true in file hides"),
        ("queue.buffering.max.kbytes", "24", "set it to 25 or more"),
        ("message.max.bytes", "16384", "set it to 17408 or more"),
    ],
)
def test_what_would_lose_data_or_cannot_work_is_refused(name: str, value: str, message: str) -> None:
    with pytest.raises(UsageError) as error:
        producer_properties(ClientConfig("file", {name: value}), 16384, 64 * MEGABYTE)
    assert message in str(error.value)


@pytest.mark.parametrize("value", ["false", "False", "f", "0"])
def test_a_refused_property_may_be_switched_off(value: str) -> None:
    made = properties(delivery__report__only__error=value)
    Producer({**made, "bootstrap.servers": "127.0.0.1:9"})


@pytest.mark.parametrize("chunk_size", [1, 16384, 1 << 20, 1 << 29])
def test_the_clients_limits_follow_the_chunk_size(chunk_size: int) -> None:
    made = properties(chunk_size)
    assert int(made["message.max.bytes"]) >= message_bytes_needed(chunk_size)
    assert int(made["message.max.bytes"]) <= 1_000_000_000
    assert int(made["batch.size"]) >= 1_000_000
    assert int(made["queue.buffering.max.kbytes"]) * 1024 >= 4 * chunk_size - 1024


def test_a_topic_lowers_our_batches_and_not_the_users() -> None:
    made = properties(batch__size="900000")
    fit_to_topic(made, {"batch.size": "900000"}, 50_000)
    assert made["message.max.bytes"] == 50_000
    assert made["batch.size"] == "900000"
    made = properties()
    fit_to_topic(made, {}, 10)
    assert made["batch.size"] == 1000


@pytest.mark.parametrize(
    ("configured", "seconds"),
    [
        ({}, 300.0),
        ({"message.timeout.ms": "5000"}, 5.0),
        ({"delivery.timeout.ms": 5000}, 5.0),
        ({"message.timeout.ms": "0"}, math.inf),
    ],
)
def test_when_librdkafka_gives_up(configured: dict[str, str], seconds: float) -> None:
    assert message_timeout(configured) == seconds


# Consumers


def test_only_we_commit_offsets() -> None:
    by_user = {"group.id": "theirs", "enable.auto.commit": "true", "enable.auto.offset.store": "true"}
    made = consumer_properties(ClientConfig("file", by_user), "ours")
    assert made["group.id"] == "ours"
    assert made["enable.auto.commit"] is False
    assert made["enable.auto.offset.store"] is False


@pytest.mark.parametrize("value", ["none", ""])
def test_reading_begins_at_the_start_unless_the_user_chose_otherwise(value: str) -> None:
    assert consumer_properties(ClientConfig("file", {}), "g")["auto.offset.reset"] == "earliest"
    by_user = {"auto.offset.reset": value}
    assert consumer_properties(ClientConfig("file", by_user), "g")["auto.offset.reset"] == "earliest"
    by_user = {"auto.offset.reset": "latest"}
    assert consumer_properties(ClientConfig("file", by_user), "g")["auto.offset.reset"] == "latest"


def test_no_default_beside_an_alias_of_the_fetch_size() -> None:
    made = consumer_properties(ClientConfig("file", {"max.partition.fetch.bytes": "1000"}), "g")
    assert made["max.partition.fetch.bytes"] == "1000"
    assert "fetch.message.max.bytes" not in made
    assert "fetch.message.max.bytes" in consumer_properties(ClientConfig("file", {}), "g")


def test_openmsistreams_deserializers_are_left_out_and_others_refused() -> None:
    by_user = {"key.deserializer": "StringDeserializer", "value.deserializer": "DataFileChunkDeserializer"}
    made = consumer_properties(ClientConfig("file", by_user), "g")
    assert not set(by_user) & set(made)
    with pytest.raises(UsageError, match=r"value.deserializer = Avro in file is not supported"):
        consumer_properties(ClientConfig("file", {"value.deserializer": "Avro"}), "g")


@pytest.mark.parametrize(
    ("in_file", "option", "group"),
    [
        (None, None, None),
        ("", None, None),
        ("create_new", None, None),
        ("a", None, "a"),
        ("a", "b", "b"),
        ("a", "create_new", None),
    ],
)
def test_the_group_that_the_user_chose(in_file: str | None, option: str | None, group: str | None) -> None:
    by_user = {} if in_file is None else {"group.id": in_file}
    assert group_id(ClientConfig("file", by_user), option) == group
