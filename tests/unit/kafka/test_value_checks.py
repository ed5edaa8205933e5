"""Values that were hardly meant, and those that only look so."""

from __future__ import annotations

import pytest

from dfud.errors import UsageError
from dfud.kafka.value_checks import check_values


def place(name: str) -> str:
    return f"{name} in [s] of file"


@pytest.mark.parametrize(
    ("name", "value", "fault"),
    [
        ("linger.ms", '"5"', "in quotes"),
        ("security.protocol", "'SSL'", "in quotes"),
        ("client.id", '"me"', "in quotes"),
        ("linger.ms", "5 ; soon", "comment behind its value"),
        ("compression.type", "zstd # small", "comment behind its value"),
        ("ssl.ca.location", "/none.pem\t# ours", "comment behind its value"),
        ("linger.ms", "5 ms", "not a plain number"),
        ("linger.ms", "", "not a plain number"),
        ("batch.size", "1.5", "not a plain number"),
        ("batch.size", "1e6", "not a plain number"),
        ("batch.size", "1_000", "not a plain number"),
        ("retries", "010", "not a plain number"),
        ("retries", "0x10", "not a plain number"),
        ("linger.ms", "900001", "not from 0 to 900000"),
        ("enable.idempotence", "yes", "neither true nor false"),
        ("socket.keepalive.enable", "", "neither true nor false"),
        ("compression.type", "zip", "not one of none, gzip, snappy, lz4, zstd"),
        ("compression.codec", "zip", "not one of none, gzip, snappy, lz4, zstd"),
        ("metadata.recovery.strategy", "hope", "a value that librdkafka refuses"),
        ("bootstrap.servers", "a:1\nsasl.password = x", "goes on in the next line"),
        ("lingerms", "5", "is no setting of librdkafka; linger.ms is similar"),
        ("ssl.truststore.location", "x.jks", "use ssl.ca.location"),
        ("sasl.jaas.config", "x", "use sasl.username and sasl.password"),
        ("error_cb", "print", "cannot be set in a file"),
        ("default.topic.config", "x", "cannot be set in a file"),
        ("logger", "x", "cannot be set in a file"),
    ],
)
def test_what_was_hardly_meant(name: str, value: str, fault: str) -> None:
    with pytest.raises(UsageError) as error:
        list(check_values({name: value}, place))
    assert str(error.value).startswith(f"{name} in [s] of file ")
    assert fault in str(error.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("linger.ms", "0.5"),
        ("retries", " 5 "),
        ("acks", "ALL"),
        ("enable.idempotence", "T"),
        ("client.id", "me #1"),
        ("group.id", "a ; b"),
        ("sasl.password", "a # b"),
        ("auto.offset.reset", ""),
        ("topic.compression.type", "LZ4"),
        ("key.serializer", "StringSerializer"),
        ("ssl.ca.pem", "-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----"),
    ],
)
def test_what_only_looks_so(name: str, value: str) -> None:
    assert list(check_values({name: value}, place)) == []


def test_a_quoted_password_is_warned_of() -> None:
    (warning,) = check_values({"sasl.password": "'x'"}, place)
    assert warning.startswith("sasl.password in [s] of file is in quotes")
