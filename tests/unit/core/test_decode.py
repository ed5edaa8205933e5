"""From messages to chunks: what was sent is read back, and nothing else does harm."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dfud.core.chunk import SHA512, XXH3_128, BadMessageError, ForeignMessageError
from dfud.core.chunking import count_chunks
from dfud.core.decode import read_chunk
from dfud.core.names import path_fault
from dfud.core.native import header_maker
from dfud.core.version import FileVersion
from tests.helpers.downloading import native, openmsi

PATHS = st.sampled_from([b"a", b"d/e/f", b"\xff", b"logs/x", "näher".encode()])


@given(path=PATHS, data=st.binary(max_size=50), mtime_ns=st.integers(-(10**18), 10**18), size=st.integers(1, 9))
def test_native_messages_are_read_back(path: bytes, data: bytes, mtime_ns: int, size: int) -> None:
    records = native(path, data, mtime_ns, size)
    chunks = [read_chunk(record.key, record.value, record.headers) for record in records]
    assert b"".join(chunk.data for chunk in chunks) == data
    assert len({chunk.identity() for chunk in chunks}) == 1
    assert [chunk.offset for chunk in chunks] == [size * number for number in range(len(chunks))]
    assert all(chunk.digest == "" for chunk in chunks[:-1])
    chunk = chunks[-1]
    assert (chunk.path, chunk.size, chunk.mtime_ns, chunk.algorithm) == (path, len(data), mtime_ns, XXH3_128)
    # These are exactly the headers that the producer makes.
    make = header_maker(FileVersion(path, len(data), mtime_ns), size)
    for number, record in enumerate(records, 1):
        assert make(number, dict(record.headers)["xxh3_64"]) == record.headers[:6]
    assert len(chunks) == count_chunks(len(data), size)


@given(data=st.binary(min_size=1, max_size=50), size=st.integers(1, 9))
def test_openmsistreams_messages_are_read_back(data: bytes, size: int) -> None:
    chunks = [read_chunk(record.key, record.value, None) for record in openmsi(b"d/f", data, 1.25, size)]
    assert b"".join(chunk.data for chunk in chunks) == data
    assert len({chunk.identity() for chunk in chunks}) == 1
    assert {(chunk.path, chunk.mtime_ns, chunk.algorithm) for chunk in chunks} == {(b"d/f", 1_250_000_000, SHA512)}
    assert [chunk.size for chunk in chunks] == [None] * (len(chunks) - 1) + [len(data)]


@given(
    key=st.one_of(st.none(), st.binary(max_size=9)),
    value=st.one_of(st.none(), st.binary(max_size=40), st.binary(max_size=40).map(b"\x9a".__add__)),
    headers=st.lists(
        st.tuples(
            st.sampled_from(["upload_id", "chunk", "offset", "size", "mtime_ns", "xxh3_64", "xxh3_128"]),
            st.one_of(st.none(), st.binary(max_size=9), st.sampled_from([b"1/1", b"0", b"-1", b"9" * 30])),
        )
    ),
)
def test_any_message_is_a_chunk_or_an_error_of_ours(
    key: bytes | None, value: bytes | None, headers: list[tuple[str, bytes | None]]
) -> None:
    with contextlib.suppress(ForeignMessageError, BadMessageError):
        read_chunk(key, value, headers)


CONTRADICTIONS = [
    pytest.param({"chunk": b"2/1000000000000000"}, "do not make", id="more-chunks-than-bytes"),
    pytest.param({"chunk": b"0/3"}, "^its header chunk is not a number", id="chunk-0"),
    pytest.param({"chunk": b"1/x"}, "^its header chunk is not a number", id="of-no-number"),
    pytest.param({"chunk": b"1/2/3"}, "^its header chunk is not a number", id="two-slashes"),
    pytest.param({"chunk": b"3/2"}, "^there is no chunk 3 of 2$", id="beyond-the-last"),
    pytest.param({"chunk": b"12"}, "^its header chunk is not i/n$", id="no-slash"),
    pytest.param({"chunk": b""}, "^its header chunk is not i/n$", id="no-chunk"),
    pytest.param({"offset": b"-1"}, "^its header offset is not a number that a file can have$", id="negative"),
    pytest.param({"offset": "\N{FULLWIDTH DIGIT ONE}".encode()}, "offset", id="other-digits"),
    pytest.param({"offset": b"9" * 30}, "offset", id="too-long"),
    pytest.param({"mtime_ns": b"soon"}, "^its header mtime_ns is not a number", id="no-time"),
    pytest.param({"mtime_ns": b"-9223372036854775807"}, "^its upload_id does not match", id="the-first-time"),
    pytest.param({"mtime_ns": b"-9223372036854775808"}, "^its header mtime_ns is not a number", id="before-it"),
    pytest.param({"size": b"5"}, "^its upload_id does not match its key, size and mtime_ns$", id="another-size"),
    pytest.param({"xxh3_64": b"0" * 16}, "^its value does not match its xxh3_64$", id="another-value"),
    pytest.param({"xxh3_128": b"X"}, "^its header xxh3_128 is not 32 hex digits$", id="no-digest"),
    pytest.param({"size": b"9223372036854775807"}, "^its upload_id does not match", id="the-largest-size"),
    pytest.param({"size": b"9223372036854775808"}, "^its header size is not a number", id="larger-than-any-size"),
]


@pytest.mark.parametrize(("changed", "complaint"), CONTRADICTIONS)
def test_what_contradicts_itself_is_refused(changed: dict[str, bytes], complaint: str) -> None:
    for record in native(b"f", bytes(2500), 7)[1:2]:
        headers = list({**dict(record.headers), **changed}.items())
        with pytest.raises(BadMessageError, match=complaint):
            read_chunk(record.key, record.value, headers)


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [(None, b"x", "it has no key"), (b"k", None, "it has no value"), (None, None, "it has no key")],
)
def test_a_chunk_needs_key_and_value(key: bytes | None, value: bytes | None, reason: str) -> None:
    for record in native(b"f", b"x", 7):
        with pytest.raises(BadMessageError, match=f"^{reason}$"):
            read_chunk(key, value, record.headers)


@pytest.mark.parametrize("name", ["offset", "size", "mtime_ns", "xxh3_64"])
@pytest.mark.parametrize("null", [True, False])
def test_a_chunk_needs_its_headers(name: str, null: bool) -> None:
    for record in native(b"f", b"x", 7):
        others = [header for header in record.headers if header[0] != name]
        with pytest.raises(BadMessageError, match=f"^it has no header {name}$"):
            read_chunk(record.key, record.value, [*others, (name, None)] if null else others)


@pytest.mark.parametrize("value", [None, b"", b"text", b"\x99", b"\x9a\x01"])
def test_a_message_of_neither_format_is_foreign(value: bytes | None) -> None:
    with pytest.raises(ForeignMessageError):
        read_chunk(b"key", value, None)


@pytest.mark.parametrize(
    "path",
    [b"", b"/a", b"..", b"a/../b", b"./a", b"a//b", b"a/", b"a\0b", b"LOGS", b"LOGS/a", b"x" * 256, b"y/" * 32768],
)
def test_paths_that_lead_elsewhere_are_refused(path: bytes) -> None:
    assert path_fault(path)
    for record in native(path, b"data", 1):
        with pytest.raises(BadMessageError, match=r"^its path cannot be used: it "):
            read_chunk(record.key, record.value, record.headers)


@pytest.mark.parametrize("path", [b"a", b"...", b"..a", b"a/LOGS/b", b"LOGS2", b"x" * 255, b"\xff\n"])
def test_odd_paths_are_paths(path: bytes) -> None:
    assert path_fault(path) == ""
