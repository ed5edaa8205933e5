"""What a chunk may state about itself, and the identity of its version."""

from __future__ import annotations

import re
from typing import Any

import pytest
import xxhash

from dfud.core.chunk import SHA512, XXH3_128, BadMessageError, Chunk

# Bytes 4 to 7 of the ten that three chunks of four bytes make.
CHUNK = Chunk(b"d/f", 10, 5, 2, 3, 4, XXH3_128, "", b"data")


@pytest.mark.parametrize(
    "changed",
    [
        {},
        pytest.param({"size": None}, id="size unknown"),
        pytest.param({"size": 9}, id="one byte left for the last chunk"),
        pytest.param({"number": 1, "offset": 0}, id="first"),
        pytest.param({"number": 3, "offset": 8, "data": b"xy"}, id="last"),
        pytest.param({"number": 3, "offset": 2, "size": 6}, id="last, after two chunks of one byte"),
        pytest.param({"n_chunks": 1, "number": 1, "offset": 0, "size": 0, "data": b""}, id="empty file"),
    ],
)
def test_what_agrees_is_a_chunk(changed: dict[str, Any]) -> None:
    chunk = CHUNK._replace(**changed)
    assert chunk.checked() is chunk


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"number": 0}, "there is no chunk 0 of 3"),
        ({"number": 4}, "there is no chunk 4 of 3"),
        ({"number": 1}, "chunk 1 cannot begin at byte 4"),
        ({"offset": 0}, "chunk 2 cannot begin at byte 0"),
        ({"data": b""}, "one of several chunks is empty"),
        ({"data": b"", "n_chunks": 2, "offset": 10}, "one of several chunks is empty"),
        ({"number": 3, "offset": 1}, "there is no room for 2 chunks before byte 1"),
        ({"size": None, "number": 3, "offset": 1}, "there is no room for 2 chunks before byte 1"),
        ({"size": 7}, "3 chunks, number 2 ending at byte 8, do not make 7 bytes"),
        ({"size": 8}, "3 chunks, number 2 ending at byte 8, do not make 8 bytes"),
        ({"n_chunks": 5}, "5 chunks, number 2 ending at byte 8, do not make 10 bytes"),
        ({"number": 3}, "chunk 3 of 3 ends at byte 8 of 10"),
    ],
)
def test_what_contradicts_itself_is_not(changed: dict[str, Any], reason: str) -> None:
    with pytest.raises(BadMessageError, match=f"^{re.escape(reason)}$"):
        CHUNK._replace(**changed).checked()


def test_the_identity_is_of_path_size_and_mtime() -> None:
    assert CHUNK.identity() == xxhash.xxh3_128_digest(b"d/f\x0010\x005")


def test_a_chunk_of_openmsistream_is_identified_by_the_digest_of_its_file() -> None:
    chunk = CHUNK._replace(algorithm=SHA512, digest="ab", size=None, mtime_ns=None)
    assert chunk.identity() == xxhash.xxh3_128_digest(b"d/f\x00ab\x00None")
