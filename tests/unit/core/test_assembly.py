"""Chunks in any order, and the digest of the file."""

from __future__ import annotations

import hashlib
from random import Random

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
def test_complete_at_the_last_chunk_and_verified_in_any_order(
    algorithm: str, data: bytes, size: int, order: Random
) -> None:
    chunks = [(at, data[at : at + size]) for at in range(0, len(data), size)]
    arriving = chunks + order.sample(chunks, order.randrange(len(chunks)))
    order.shuffle(arriving)
    assembly = Assembly(algorithm, len(data))
    assembly.digest = DIGESTS[algorithm](data)
    disk = bytearray(len(data))
    there: set[int] = set()
    for at, chunk in arriving:
        numbers = set(range(at, at + len(chunk)))
        assert assembly.has(at, len(chunk)) == (numbers <= there)
        disk[at : at + len(chunk)] = chunk
        assembly.add(at, chunk)
        there |= numbers
        assert assembly.spans == RangeSet((number + 1, number + 1) for number in there)
        assert assembly.is_whole == (len(there) == len(data))
    assert assembly.verify(lambda length, offset: bytes(disk[offset : offset + length]))
    assert assembly.hashed == len(data)


def test_ranges_that_are_there_at_the_start_are_counted_and_read_back() -> None:
    assembly = Assembly(XXH3_128, 6, [(1, 3)])
    assert assembly.digest == ""
    assert assembly.has(0, 3)
    assembly.add(3, b"def")
    assert not assembly.is_whole, "its digest is not known"
    assembly.digest = xxhash.xxh3_128_hexdigest(b"abcdef")
    assert assembly.is_whole
    assert assembly.verify(lambda length, offset: b"abcdef"[offset : offset + length])


def test_a_file_is_read_back_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dfud.core.assembly._BLOCK_BYTES", 2)
    assembly = Assembly(XXH3_128, 5, [(2, 5)])
    assembly.digest = xxhash.xxh3_128_hexdigest(b"abcde")
    assembly.add(0, b"a")
    reads = []

    def read(length: int, offset: int) -> bytes:
        reads.append((length, offset))
        return b"abcde"[offset : offset + length]

    assert assembly.verify(read)
    assert reads == [(2, 1), (2, 3), (2, 5)]


def test_a_chunk_after_a_gap_keeps_what_is_hashed() -> None:
    assembly = Assembly(XXH3_128, 9)
    assembly.add(0, b"abc")
    assembly.add(6, b"ghi")
    assert assembly.hashed == 3
    assembly.add(3, b"def")
    assert assembly.hashed == 6
    assembly.add(5, b"F")
    assert assembly.hashed == 0


def test_in_order_nothing_is_read_back() -> None:
    assembly = Assembly(XXH3_128, 6)
    assembly.add(0, b"abc")
    assembly.add(3, b"def")
    assembly.digest = xxhash.xxh3_128_hexdigest(b"abcdef")
    assert assembly.verify(lambda length, offset: b"")


def test_after_bytes_were_replaced_the_file_is_read_back() -> None:
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
