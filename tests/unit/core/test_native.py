"""The native messages' headers."""

from __future__ import annotations

import pytest
import xxhash

from dfud.core.chunk import BadMessageError
from dfud.core.native import MESSAGE_OVERHEAD, header_maker, is_native, read_native
from dfud.core.version import FileVersion
from dfud.messages import FileStart
from dfud.uploading.wire import NativeMessages
from tests.helpers.downloading import native as native_records


def test_the_headers_are_those_of_the_contract() -> None:
    headers = header_maker(FileVersion(b"a/b", 10, 1700000000000000001), 4)(2, b"0123456789abcdef")
    assert headers == [
        ("upload_id", xxhash.xxh3_64_hexdigest(b"a/b\x0010\x001700000000000000001").encode()),
        ("chunk", b"2/3"),
        ("offset", b"4"),
        ("size", b"10"),
        ("mtime_ns", b"1700000000000000001"),
        ("xxh3_64", b"0123456789abcdef"),
    ]


def test_an_empty_file_is_one_chunk_at_offset_0() -> None:
    _, *headers, _ = header_maker(FileVersion(b"a", 0, -1), 4)(1, b"x")
    assert headers == [("chunk", b"1/1"), ("offset", b"0"), ("size", b"0"), ("mtime_ns", b"-1")]


def test_only_the_last_chunk_has_the_digest_of_the_file() -> None:
    messages = NativeMessages(FileStart(1, FileVersion(b"a", 10, 0), 4, (), "then", b""))
    made = [messages.message(number, b"data", b"x", "f" * 32) for number in (1, 2, 3)]
    assert [dict(headers or ()).get("xxh3_128") for _, _, headers in made] == [None, None, b"f" * 32]


def test_the_overhead_has_room_for_all_headers_and_a_long_path() -> None:
    messages = NativeMessages(FileStart(1, FileVersion(b"a", 2**63 - 1, -(2**63)), 1, (), "then", b""))
    _, _, headers = messages.message(2**63 - 1, b"", b"f" * 16, "f" * 32)
    assert headers is not None
    assert 61 + 15 + sum(len(name) + len(value or b"") + 4 for name, value in headers) + 600 < MESSAGE_OVERHEAD


@pytest.mark.parametrize(
    ("names", "native"),
    [
        (["upload_id", "chunk"], True),
        (["chunk", "other", "upload_id"], True),
        (["upload_id"], False),
        (["chunk"], False),
    ],
)
def test_a_message_is_native_by_two_of_its_headers(names: list[str], native: bool) -> None:
    assert is_native([(name, b"") for name in names]) is native


def test_a_header_must_not_be_there_twice() -> None:
    headers: list[tuple[str, bytes | None]] = [("size", b"1"), ("size", b"1")]
    with pytest.raises(BadMessageError, match=r"^it has a header twice$"):
        read_native(b"a", b"x", headers)


def test_a_header_of_others_may_be_there_twice() -> None:
    (record,) = native_records(b"a", b"x", 1)
    traced: list[tuple[str, bytes | None]] = [*record.headers, ("trace", b"1"), ("trace", b"2")]
    assert read_native(b"a", b"x", traced).data == b"x"
