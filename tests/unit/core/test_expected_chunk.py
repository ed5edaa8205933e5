"""The next chunk of a file, accepted by its headers: just what the decoder would make of it, and nothing else."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dfud.core.chunk import Chunk
from dfud.core.decode import read_chunk
from dfud.core.expected_chunk import ExpectedChunk
from dfud.core.ranges import RangeSet
from tests.helpers.downloading import Record, native, openmsi

NOW = 1_700_000_000_123_456_789  # ns
DATA = bytes(range(10)) * 5

FIELDS = st.sampled_from(["upload_id", "chunk", "offset", "size", "mtime_ns", "xxh3_64", "xxh3_128", "other"])
VALUES = st.one_of(st.none(), st.binary(max_size=9), st.sampled_from([b"2/5", b"3/5", b"10", b"20", b"50"]))


def chunks(records: list[Record]) -> list[Chunk]:
    return [read_chunk(record.key, record.value, record.headers) for record in records]


def after(records: list[Record], number: int) -> ExpectedChunk:
    """Return what is expected after chunk `number`, with all chunks up to it there."""
    chunk = chunks(records)[number - 1]
    expected = ExpectedChunk()
    expected.follow(chunk, RangeSet([(1, chunk.offset + len(chunk.data))]))
    return expected


@given(data=st.binary(min_size=2, max_size=80), chunk_size=st.integers(1, 20), start=st.integers(1, 80))
def test_all_chunks_but_the_first_and_the_last_are_accepted_in_order(
    data: bytes, chunk_size: int, start: int
) -> None:
    records = native(b"d/f", data, NOW, chunk_size)
    start = min(start, len(records) - 1)
    expected = after(records, start)
    for record, chunk in list(zip(records, chunks(records)))[start:-1]:
        assert expected.accept(record.value, record.headers) == chunk.offset
        assert expected.accept(record.value, record.headers) is None
    assert expected.accept(records[-1].value, records[-1].headers) is None


@st.composite
def messages(draw: st.DrawFn) -> Record:
    """Return a message of a file like the one under test, as it is or with something changed."""
    chunk_size = draw(st.sampled_from([10, 10, 5, 9]))
    records = native(b"d/f", DATA, draw(st.sampled_from([NOW, NOW, NOW + 1])), chunk_size)
    record = records[draw(st.integers(0, 4))]
    headers: list[tuple[str, bytes | None]] = list(record.headers)
    if draw(st.booleans()):
        return record
    at = draw(st.integers(0, len(headers)))
    if draw(st.booleans()):
        headers[at : at + draw(st.integers(0, 1))] = [(draw(FIELDS), draw(VALUES))]
    value = draw(st.sampled_from([record.value, record.value, b"", b"0123456789", None]))
    return record._replace(value=value, headers=headers)  # type: ignore[arg-type]


@given(number=st.integers(1, 4), message=messages())
def test_what_is_accepted_is_what_the_decoder_reads(number: int, message: Record) -> None:
    records = native(b"d/f", DATA, NOW, 10)
    offset = after(records, number).accept(message.value, message.headers)
    chunk = None
    with contextlib.suppress(ValueError):
        chunk = read_chunk(message.key, message.value, message.headers)
    followed = chunks(records)[number - 1]
    if offset is not None:
        assert chunk == followed._replace(number=number + 1, offset=offset, data=message.value or b"")
        assert offset == number * 10
    else:
        assert message != records[number] or number + 1 == len(records)


FIRST = native(b"d/f", DATA, NOW, 10)


@pytest.mark.parametrize(
    ("chunk", "present"),
    [
        pytest.param(chunks(openmsi(b"d/f", DATA, 1.5, 10))[1], [(1, 20)], id="of OpenMSIStream"),
        pytest.param(chunks(FIRST)[1]._replace(size=None), [(1, 20)], id="of unknown size"),
        pytest.param(chunks(FIRST)[1]._replace(mtime_ns=None), [(1, 20)], id="of unknown mtime"),
        pytest.param(chunks(FIRST)[1], [(11, 20)], id="a gap before it"),
        pytest.param(chunks(FIRST)[1], [(1, 20), (31, 40)], id="bytes after it"),
        pytest.param(chunks(FIRST)[1], [(1, 30)], id="the next one is there"),
        pytest.param(chunks(FIRST)[1]._replace(data=b"1" * 9), [(1, 19)], id="of another length"),
        pytest.param(chunks(FIRST)[1]._replace(n_chunks=6), [(1, 20)], id="too many chunks for the size"),
        pytest.param(chunks(FIRST)[1]._replace(n_chunks=4), [(1, 20)], id="too few chunks for the size"),
        pytest.param(chunks(FIRST)[4], [(1, 50)], id="the last one"),
    ],
)
def test_nothing_is_expected_after_some_chunks(chunk: Chunk, present: list[tuple[int, int]]) -> None:
    expected = after(FIRST, 1)
    assert not expected.follow(chunk, RangeSet(present))
    assert [expected.accept(record.value, record.headers) for record in FIRST] == [None] * 5


def test_a_chunk_can_be_followed_and_forgotten_again_and_again() -> None:
    expected = ExpectedChunk()
    assert expected.accept(FIRST[0].value, FIRST[0].headers) is None
    for at, chunk in enumerate(chunks(FIRST)[:3], 1):
        expected.follow(chunk, RangeSet([(1, at * 10)]))
        expected.forget()
        assert expected.accept(FIRST[at].value, FIRST[at].headers) is None
        assert expected.follow(chunk, RangeSet([(1, at * 10)]))
        assert expected.accept(FIRST[at].value, FIRST[at].headers) == at * 10


def test_another_chunk_size_or_version_makes_other_headers() -> None:
    expected = after(FIRST, 1)
    for other in (native(b"d/f", DATA, NOW, 5), native(b"d/f", DATA, NOW + 1, 5), native(b"d/g", DATA, NOW, 5)):
        expected.follow(chunks(other)[0], RangeSet([(1, 5)]))
        assert expected.accept(FIRST[1].value, FIRST[1].headers) is None
        assert expected.accept(other[1].value, other[1].headers) == 5


def test_headers_of_others_after_those_of_the_chunk_do_not_matter() -> None:
    records = native(b"d/f", DATA, NOW, 10)
    record = records[2]
    assert after(records, 2).accept(record.value, [*record.headers, ("sample", b"A7")]) == 20
    assert after(records, 2).accept(record.value, [*record.headers, ("size", b"50")]) is None  # it is there twice
