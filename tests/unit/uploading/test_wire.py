"""The messages of both wire formats."""

from __future__ import annotations

import hashlib

import pytest
import xxhash

from dfud.core.chunk import SHA512, Chunk
from dfud.core.openmsistream import decode
from dfud.core.version import FileVersion
from dfud.messages import FileStart
from dfud.uploading.wire import NATIVE, OPENMSISTREAM, WIRE_FORMATS, UnsendableFileError, WireFormat, with_headers

DATA = b"data of it"
DIGEST = "0123456789abcdef" * 2


def start(path: bytes = b"sub/a", size: int = 26) -> FileStart:
    return FileStart(1, FileVersion(path, size, 1_500_000_000), 16, (), "", hashlib.sha512(b"all").digest())


def test_the_names_of_the_configuration_are_the_formats() -> None:
    assert WIRE_FORMATS == {"native": NATIVE, "openmsistream": OPENMSISTREAM}


@pytest.mark.parametrize("wire", [NATIVE, OPENMSISTREAM])
def test_a_rebuilt_message_is_the_same(wire: WireFormat) -> None:
    messages = wire.messages(start())
    first = messages.message(2, DATA, xxhash.xxh3_64_hexdigest(DATA).encode(), DIGEST)
    assert messages.rebuild(2, first[0], DIGEST) == first


def test_a_native_message() -> None:
    messages = NATIVE.messages(start())
    value, key, headers = messages.message(2, DATA, b"0011223344556677", DIGEST)
    assert (value, key) == (DATA, b"sub/a")
    assert headers is not None
    assert dict(headers)["xxh3_128"] == DIGEST.encode()
    assert dict(headers)["xxh3_64"] == b"0011223344556677"
    _, _, headers = messages.message(1, DATA, b"0011223344556677", "")
    assert headers is not None
    assert "xxh3_128" not in dict(headers)


def test_a_message_of_openmsistream() -> None:
    value, key, headers = OPENMSISTREAM.messages(start()).message(2, DATA, b"", DIGEST)
    assert (key, headers) == (b"sub_a_chunk_2_of_2", None)
    assert decode(value) == Chunk(
        b"sub/a", 26, 1_500_000_000, 2, 2, 16, SHA512, hashlib.sha512(b"all").hexdigest(), DATA
    )


def test_openmsistream_has_no_message_for_a_name_that_is_not_utf_8() -> None:
    with pytest.raises(UnsendableFileError, match="not UTF-8"):
        OPENMSISTREAM.messages(start(b"\xff"))
    assert NATIVE.messages(start(b"\xff"))


@pytest.mark.parametrize("wire", [NATIVE, OPENMSISTREAM])
def test_headers_of_the_user_follow_those_of_the_format(wire: WireFormat) -> None:
    more = (("sample", b"A7"),)
    first = wire.messages(start()).message(2, DATA, b"0011223344556677", DIGEST)
    messages = with_headers(wire, more).messages(start())
    assert messages.message(2, DATA, b"0011223344556677", DIGEST) == (*first[:2], [*(first[2] or []), *more])
    again = messages.rebuild(2, first[0], DIGEST)
    assert again[2] is not None
    assert again[2][-1] == more[0]
    assert with_headers(wire, more).is_openmsistream == wire.is_openmsistream
    assert with_headers(wire, ()) is wire
