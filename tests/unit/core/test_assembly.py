"""Chunks in any order, and the digest of the whole."""

from __future__ import annotations

import hashlib

import pytest
import xxhash
from hypothesis import given
from hypothesis import strategies as st

from dfud.core.assembly import Assembly, missing_chunks
from dfud.core.chunk import SHA512, XXH3_128
from dfud.core.ranges import RangeSet

DIGESTS = {
    XXH3_128: xxhash.xxh3_128_hexdigest,
    SHA512: lambda data: hashlib.sha512(data).hexdigest(),
}


@pytest.mark.parametrize("algorithm", [XXH3_128, SHA512])
@given(data=st.binary(min_size=1, max_size=60), size=st.integers(1, 9), order=st.randoms(use_true_random=False))
def test_whole_at_the_last_chunk_and_right_in_any_order(algorithm: str, data: bytes, size: int, order) -> None:
    chunks = [(at, data[at : at + size]) for at in range(0, len(data), size)]
    again = order.sample(chunks, order.randrange(len(chunks)))
    came = chunks + again
    order.shuffle(came)
    assembly = Assembly(algorithm, len(data))
    assembly.digest = DIGESTS[algorithm](data)
    disk = bytearray(len(data))
    for at, chunk in came:
        there = (
            all(disk_at in seen for disk_at in range(at, at + len(chunk))) if (seen := _bytes(assembly)) else False
        )
        assert assembly.has(at, len(chunk)) == there
        disk[at : at + len(chunk)] = chunk
        assembly.add(at, chunk)
        assert assembly.is_whole == (len(_bytes(assembly)) == len(data))
    assert assembly.verify(lambda length, offset: bytes(disk[offset : offset + length]))


def _bytes(assembly: Assembly) -> set[int]:
    return {number - 1 for first, last in assembly.spans for number in range(first, last + 1)}


def test_in_order_nothing_is_read_back() -> None:
    assembly = Assembly(XXH3_128, 6)
    assembly.add(0, b"abc")
    assembly.add(3, b"def")
    assembly.digest = xxhash.xxh3_128_hexdigest(b"abcdef")
    assert assembly.verify(lambda length, offset: b"")


def test_other_bytes_in_the_place_of_some_have_all_read_back() -> None:
    assembly = Assembly(XXH3_128, 6)
    for at, data in ((0, b"abc"), (3, b"def"), (0, b"xyz")):
        assembly.add(at, data)
    assembly.digest = xxhash.xxh3_128_hexdigest(b"xyzdef")
    assert assembly.hashed == 0
    assert assembly.verify(lambda length, offset: b"xyzdef"[offset : offset + length])
    assembly.restart_hash()
    assert not assembly.verify(lambda length, offset: b"abcdef"[offset : offset + length])


def test_a_huge_claim_costs_nothing() -> None:
    assembly = Assembly(XXH3_128, 10**18)
    assembly.add(0, b"x")
    assembly.add(10**18 - 1, b"x")
    assert not assembly.is_whole
    assert str(missing_chunks(assembly.spans, 10**18, 1000)) == f"1-{10**15}"


@pytest.mark.parametrize(
    ("first", "last", "chunks"),
    [(1, 4, "1"), (4, 5, "1-2"), (5, 5, "2"), (5, 8, "2"), (8, 9, "2-3"), (9, 9, "3"), (1, 10, "1-3")],
)
def test_a_chunk_is_missing_if_any_of_its_bytes_is(first: int, last: int, chunks: str) -> None:
    spans = RangeSet([(1, first - 1)] if first > 1 else [])
    spans.update([(last + 1, 10)] if last < 10 else [])
    assert str(missing_chunks(spans, 10, 4)) == chunks
