"""Addresses that librdkafka would only fail to connect to."""

from __future__ import annotations

import pytest

from dfud.kafka.addresses import address_fault


@pytest.mark.parametrize(
    "servers",
    [
        "localhost", "kafka:9092", "10.0.0.1:1", "a:1,b:2", "a:1, b:2 ,c", "a:1,", "[::1]:9092", "[fe80::1%eth0]",
        "SASL_SSL://a:1,b", "sasl_ssl://[::1]:65535", "xn--mnchen-3ya.example_1.org.:9092",
    ],
)  # fmt: skip
def test_addresses(servers: str) -> None:
    assert address_fault(servers, "sasl_ssl") == ""


@pytest.mark.parametrize(
    ("servers", "fault"),
    [
        (",", "no address"),
        (" , ", "no address"),
        ('"a:1"', "quotes"),
        ("'a:1,b:2'", "quotes"),
        ("http://a:9092", "protocol"),
        ("https://user:secret@a:9092", "protocol"),
        ("PLAINTEXT://a:9092", "protocol"),
        ("://a", "protocol"),
        ("a:1 b:2", "separated by commas"),
        ("a:1;b:2", "separated by commas"),
        ("a b", "separated by commas"),
        ("a:", "port"),
        ("a:0", "port"),
        ("a:65536", "port"),
        ("a:-1", "port"),
        ("a:9o92", "port"),
        ("a:" + "9" * 5000, "port"),
        ("a:1,b:x", "port"),
        (":9092", "HOST:PORT"),
        ("a/b:1", "HOST:PORT"),
        ("u@a:1", "HOST:PORT"),
        ("::1", "brackets"),
        ("fe80::1:9092", "brackets"),
        ("[::1:9092", "brackets"),
        ("::1]:9092", "brackets"),
        ("[::1]9092", "brackets"),
        ("sasl_ssl://a:1/path", "port"),
    ],
)
def test_what_is_no_address(servers: str, fault: str) -> None:
    text = address_fault(servers, "sasl_ssl")
    assert fault in text
    assert "secret" not in text
