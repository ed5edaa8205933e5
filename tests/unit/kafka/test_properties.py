"""The producers' properties: the user's own stay, ours fill in, and what would lose is refused."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dfud.errors import UsageError
from dfud.kafka.config import ClientConfig
from dfud.kafka.properties import (
    fit_to_topic,
    lingers_by_load,
    message_bytes_needed,
    message_timeout,
    producer_properties,
)
from dfud.uploading.memory import MEGABYTE, divide


def properties(chunk_size: int = 16384, **given: str) -> dict[str, str | int | bool]:
    named = {name.replace("__", "."): value for name, value in given.items()}
    return producer_properties(
        ClientConfig("file", named), chunk_size, divide(500 * MEGABYTE, 2, chunk_size).librdkafka
    )


def test_nothing_is_lost_by_default() -> None:
    found = properties()
    assert found["enable.idempotence"] is True
    assert found["acks"] == "all"


@given(
    st.dictionaries(
        st.sampled_from(["linger.ms", "batch.size", "client.id", "compression.type", "partitioner", "x"]),
        st.text(max_size=5),
    )
)
def test_what_the_user_set_stays(given: dict[str, str]) -> None:
    found = producer_properties(ClientConfig("file", given), 16384, 64 * MEGABYTE)
    assert {name: found[name] for name in given} == given


@pytest.mark.parametrize(
    ("name", "value", "ours"),
    [
        ("queue.buffering.max.ms", "7", "linger.ms"),
        ("request.required.acks", "all", "acks"),
        ("request.required.acks", "-1", "acks"),
    ],
)
def test_no_default_where_the_user_used_the_other_name(name: str, value: str, ours: str) -> None:
    found = producer_properties(ClientConfig("file", {name: value}), 16384, 64 * MEGABYTE)
    assert found[name] == value
    assert ours not in found
    assert found["enable.idempotence"] is True


@pytest.mark.parametrize("name", ["linger.ms", "queue.buffering.max.ms"])
def test_a_linger_of_the_users_is_not_cut_short(name: str) -> None:
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
        ("max.in.flight.requests.per.connection", "1000000", False),
        ("retries", "0", False),
        ("message.send.max.retries", "0", False),
        ("retries", "3", True),
        ("queuing.strategy", "lifo", False),
        ("queuing.strategy", "fifo", True),
    ],
)
def test_idempotence_is_left_off_where_the_users_settings_rule_it_out(
    name: str, value: str, idempotent: bool
) -> None:
    found = producer_properties(ClientConfig("file", {name: value}), 16384, 64 * MEGABYTE)
    assert found.get("enable.idempotence", False) is idempotent


def test_a_wish_for_idempotence_is_left_to_librdkafka_to_judge() -> None:
    assert properties(acks="1", enable__idempotence="true")["enable.idempotence"] == "true"
    assert properties(enable__idempotence="false")["enable.idempotence"] == "false"


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("acks", "0", "acks = 0 in file"),
        ("request.required.acks", "0", "acks = 0 in file"),
        ("transactional.id", "mine", "transactional.id in file can't be used"),
        ("delivery.report.only.error", "true", "delivery.report.only.error in file can't be used"),
        ("retries", "many", "retries = many in file is not a number"),
        ("max.in.flight", "", "max.in.flight =  in file is not a number"),
        ("message.max.bytes", "big", "message.max.bytes = big in file is not a number"),
        ("message.max.bytes", "16384", "set it to 17408 or more"),
    ],
)
def test_what_would_lose_or_cannot_work_is_refused(name: str, value: str, told: str) -> None:
    with pytest.raises(UsageError) as error:
        producer_properties(ClientConfig("file", {name: value}), 16384, 64 * MEGABYTE)
    assert told in str(error.value)


@pytest.mark.parametrize("value", ["false", "False", "f", "0"])
def test_what_is_switched_off_is_no_trouble(value: str) -> None:
    assert properties(delivery__report__only__error=value)["delivery.report.only.error"] == value


@pytest.mark.parametrize("chunk_size", [1, 16384, 1 << 20, 1 << 29])
def test_the_clients_limits_follow_the_chunk_size(chunk_size: int) -> None:
    found = properties(chunk_size)
    assert int(found["message.max.bytes"]) >= message_bytes_needed(chunk_size)
    assert int(found["message.max.bytes"]) <= 1_000_000_000
    assert int(found["batch.size"]) >= 1_000_000
    assert int(found["queue.buffering.max.kbytes"]) * 1024 >= 4 * chunk_size - 1024


def test_a_topic_may_lower_our_batches_and_not_the_users() -> None:
    found = properties(batch__size="900000")
    fit_to_topic(found, {"batch.size": "900000"}, 50_000)
    assert found["message.max.bytes"] == 50_000
    assert found["batch.size"] == "900000"
    fit_to_topic(found, {}, 10)
    assert found["batch.size"] == 1000


@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        ({}, 300.0),
        ({"message.timeout.ms": "5000"}, 5.0),
        ({"delivery.timeout.ms": 5000}, 5.0),
        ({"message.timeout.ms": "0"}, math.inf),
    ],
)
def test_when_librdkafka_gives_up(given: dict[str, str], seconds: float) -> None:
    assert message_timeout(given) == seconds
