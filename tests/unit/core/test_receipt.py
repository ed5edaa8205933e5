"""Receipts as messages: what is written is read again, and nothing else is."""

from __future__ import annotations

import json
import os
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dfud.core.json_fields import time_text
from dfud.core.names import path_fault
from dfud.core.receipt import Receipt, ReceiptKey, receiver_fault
from dfud.core.version import FileVersion

RECEIPT = Receipt("run42", "sLhTzZ8pQ1", "archive", b"a/b.h5", 3, 5, "0" * 32, "2026-03-01T11:00:00.000000+00:00")
HEX = "0123456789abcdef"
PATHS = st.binary(min_size=1, max_size=60).filter(lambda path: not path_fault(path))
RECEIPTS = st.builds(
    Receipt,
    st.text("abcXYZ019._-", min_size=1, max_size=20),
    st.sampled_from(["", "g0MO8042ShCXpi+P03eT/Q"]),
    st.binary(min_size=1, max_size=40).map(os.fsdecode),
    PATHS,
    st.integers(0, 2**63 - 1),
    st.integers(-(2**63), 2**63 - 1),
    st.text(HEX, min_size=32, max_size=32),
    st.integers(0, 4 * 10**18).map(time_text),
    st.one_of(st.just(""), st.text(HEX, min_size=64, max_size=64)),
)
JSON_VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=9), st.just([]), st.just({"a": [1]})
)


def test_the_format_is_the_documented_one() -> None:
    receipt = RECEIPT._replace(path="µ/\x1b\u202e".encode() + b"\xff", sha256="f" * 64)
    upload_id = FileVersion(receipt.path, 3, 5).upload_id().decode()
    key = '["run42","archive","µ/\\u001b\u202e\\udcff"]'
    value = (
        '{"receipt":1,"topic":"run42","topic_id":"sLhTzZ8pQ1","receiver":"archive",'
        f'"path":"µ/\\u001b\u202e\\udcff","upload_id":"{upload_id}","size":3,"mtime_ns":5,'
        f'"xxh3_128":"{"0" * 32}","sha256":"{"f" * 64}","time":"2026-03-01T11:00:00.000000+00:00"}}'
    )
    assert receipt.message() == (key.encode(), value.encode())


@given(RECEIPTS)
def test_what_is_written_is_read_again(receipt: Receipt) -> None:
    key, value = receipt.message()

    assert Receipt.decode(key, value) == receipt
    assert receipt.key.encode() == key
    assert list(json.loads(value))[:4] == ["receipt", "topic", "topic_id", "receiver"]


@given(RECEIPTS, RECEIPTS)
def test_two_keys_have_the_same_bytes_only_if_they_are_the_same(one: Receipt, other: Receipt) -> None:
    assert (one.key.encode() == other.key.encode()) == (one.key == other.key)


@given(st.one_of(st.none(), st.binary()), st.one_of(st.none(), st.binary()))
def test_any_bytes_are_a_receipt_or_a_value_error(key: bytes | None, value: bytes | None) -> None:
    with pytest.raises(ValueError, match="it"):
        Receipt.decode(key, value)
    with pytest.raises(ValueError, match="it"):
        Receipt.decode(RECEIPT.key.encode(), value)


@given(RECEIPTS, st.data())
def test_a_field_of_any_value_is_right_or_a_value_error(receipt: Receipt, data: st.DataObject) -> None:
    fields = json.loads(receipt.encode())
    name = data.draw(st.sampled_from(sorted(fields)))
    fields[name] = data.draw(JSON_VALUES)
    try:
        decoded = Receipt.decode(receipt.key.encode(), json.dumps(fields).encode())
    except ValueError:
        return
    assert Receipt.decode(*decoded.message()) == decoded


def altered(**fields: Any) -> bytes:
    return json.dumps({**json.loads(RECEIPT.encode()), **fields}).encode()


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        pytest.param(altered(receipt=2), "format 2", id="a-later-format"),
        pytest.param(altered(receipt=True), "which format", id="no-format"),
        pytest.param(altered(path="other"), "something else than its key", id="another-path-than-the-key"),
        pytest.param(altered(size=4), "upload_id", id="another-size-than-the-upload-id"),
        pytest.param(altered(size=True), "size", id="no-size"),
        pytest.param(altered(size=-1), "size", id="a-negative-size"),
        pytest.param(altered(xxh3_128="0" * 31), "xxh3_128", id="a-short-digest"),
        pytest.param(altered(sha256="0" * 32), "sha256", id="a-short-sha256"),
        pytest.param(altered(time="2026-13-01T11:00:00.000000+00:00"), "time", id="no-such-month"),
        pytest.param(altered(time="2026-03-01T11:00:00.000000+01:00"), "time", id="not-utc"),
        pytest.param(b"[" * 100_000, "JSON", id="deep"),
        pytest.param(b'{"size":' + b"1" * 900_000 + b"}", "JSON", id="a-long-number"),
        pytest.param(b" " * (2 << 20), "1 MiB", id="long"),
        pytest.param(None, "no value", id="taken-back"),
    ],
)
def test_what_cannot_be_is_refused_with_the_reason(value: bytes | None, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        Receipt.decode(RECEIPT.key.encode(), value)


def test_what_a_later_dfud_adds_is_ignored() -> None:
    assert Receipt.decode(RECEIPT.key.encode(), altered(more=[1])) == RECEIPT


@pytest.mark.parametrize(
    "key",
    [
        b"[]",
        b"{}",
        b'["a","b"]',
        b'["a b","c","d"]',
        b'["a","","d"]',
        b'["a","b","../d"]',
        b'["a","b","LOGS/d"]',
        b'["a","b","\\ud800"]',
        b"\xff",
    ],
)
def test_a_key_that_is_none_is_refused(key: bytes) -> None:
    with pytest.raises(ValueError, match="it"):
        ReceiptKey.decode(key)


def test_a_receiver_has_a_name_of_bounded_length() -> None:
    assert receiver_fault("host:/data") == ""
    assert receiver_fault("") == "it is empty"
    assert receiver_fault("x" * 5_000) == "it is longer than 4,500 characters"


@given(st.integers(0, 4 * 10**18))
def test_the_time_is_that_of_the_clock_to_the_microsecond(time_ns: int) -> None:
    passed = datetime.fromisoformat(time_text(time_ns)) - datetime(1970, 1, 1, tzinfo=timezone.utc)
    assert passed // timedelta(microseconds=1) == time_ns // 1000
