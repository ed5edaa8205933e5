"""What receipts say of receivers: quickly for those of one form, and none is believed that is none."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from dfud.core.receipt import Receipt
from dfud.fleet.receivers import Lag, Receivers
from tests.helpers.heartbeats import Said

AT = "2026-03-01T10:00:0{}.000000+00:00"
AT_S = 1_772_359_200.0


def receipt(receiver: str = "R", topic: str = "T", path: bytes = b"p", second: int = 0, sha256: str = "") -> Said:
    return Said(*Receipt(topic, "id", receiver, path, 1, 2, "0" * 32, AT.format(second), sha256).message())


def read(*messages: Said, max_receivers: int = 10) -> Receivers:
    receivers = Receivers(max_receivers)
    receivers.add(messages)
    return receivers


def test_receipts_are_counted_by_topic_and_receiver() -> None:
    odd = 'a,"path":"b'
    found = read(
        receipt(second=1), receipt(second=5, path=b"q"), receipt(second=3, sha256="0" * 64),
        receipt(odd, path=b"\xff"), receipt(odd), receipt(topic="U"), Said(receipt().the_key, None),
    )  # fmt: skip
    rows = {(each.topic, each.name): each[2:6] for each in found.all({"T": AT_S + 60}, {("T", odd): Lag(7, 0)})}
    assert rows == {
        ("T", "R"): (3, AT.format(5), 55.0, None),
        ("T", odd): (2, AT.format(0), 60.0, Lag(7, 0)),
        ("U", "R"): (1, AT.format(0), None, None),
    }
    assert sorted(found.names) == sorted(rows)
    assert found.n_malformed == 0


def test_receipts_that_others_write_in_another_form_count_as_well() -> None:
    value = json.dumps(json.loads(receipt(second=7).the_value or b""), sort_keys=True, indent=1).encode()
    (row,) = read(receipt(), receipt()._replace(the_value=value)).all({})
    assert (row.receipts, row.last) == (2, AT.format(7))


def test_what_is_no_receipt_is_counted() -> None:
    value = receipt().the_value or b""
    bad = [
        Said(b"no key", None),
        Said(b"no key", value.replace(b'"R"', b'"S"')),
        receipt()._replace(the_value=value.replace(b"+00:00", b"+99:00")),
        receipt()._replace(the_value=value[:-1]),
    ]
    found = read(receipt(), *bad)
    assert ([each.receipts for each in found.all({})], found.n_malformed) == ([1], 4)
    assert found.first_fault


def test_no_more_receivers_are_kept_than_there_may_be() -> None:
    found = read(*(receipt(f"R{n}") for n in range(12)), receipt("R3"))
    assert (len(found.all({})), found.n_left_out) == (10, 2)


@given(st.binary(max_size=40), st.binary(max_size=80) | st.none())
def test_no_message_is_an_error(key: bytes, value: bytes | None) -> None:
    start = (receipt().the_value or b"")[:60]
    found = read(receipt(), Said(key, value), Said(key, start + (value or b"")))
    assert [each.name for each in found.all({})] == ["R"]
