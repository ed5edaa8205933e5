"""The fast path must return exactly what the thorough one does, or leave it to that."""

from __future__ import annotations

import io
import os

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dfud.core.chunking import count_chunks
from dfud.core.plain_rows import HEADER, PlainRows, plain_paths
from dfud.core.tables import BadRow, CompletedRow, format_rows, read_completed, version_of

NUMBERS = st.integers(-1, 1 << 64)
NAMES = st.one_of(
    st.text(st.characters(exclude_characters='/\0",\r\n', exclude_categories=["Cs"]), min_size=1),
    st.binary(min_size=1, max_size=20).map(os.fsdecode),
)
ROWS = st.builds(
    lambda path, size, mtime_ns, chunk_size, n_chunks, digest: CompletedRow(
        path,
        size,
        mtime_ns,
        count_chunks(size, max(chunk_size, 1)) if n_chunks is None else n_chunks,
        chunk_size,
        digest.hex(),
        "2026-11-24T17:59:55.836+00:00",
        "2026-11-24T17:59:55.887+00:00",
    ),
    NAMES,
    st.one_of(st.integers(0, 1 << 40), NUMBERS),
    NUMBERS,
    st.one_of(st.sampled_from([1024, 16384]), NUMBERS),
    st.one_of(st.none(), NUMBERS),
    st.binary(min_size=15, max_size=16),
)


def plain_records(block: bytes) -> list[bytes] | None:
    rows = PlainRows.parse(block)
    assert (plain_paths(block) is None) <= (rows is None)
    return None if rows is None else rows.records


def thoroughly(block: bytes) -> list[bytes] | None:
    """Return what the thorough path makes of a block; None if there is a bad row."""
    text = block.decode("utf-8", "surrogateescape")
    records = []
    for row in read_completed(io.StringIO(text, newline="")):
        if isinstance(row, BadRow):
            return None
        records.append(version_of(row).identity() + bytes.fromhex(row.xxh3_128))
    return records


@given(st.lists(ROWS), st.booleans())
@example([CompletedRow("a", 0, -5, 1, 16384, "0" * 32, "", "")], True)
@example([CompletedRow("\0a", 0, 0, 1, 1024, "0" * 32, "", "")], False)
@example([CompletedRow("a..b", 1, 0, 1, 16384, "0" * 32, "", "")], False)
def test_both_paths_agree(rows: list[CompletedRow], header: bool) -> None:
    block = (HEADER if header else b"") + format_rows(rows).encode("utf-8", "surrogateescape")
    fast = plain_records(block)
    assert fast is None or fast == thoroughly(block)


@given(st.binary(max_size=200))
def test_garbage_is_left_to_the_thorough_path(garbage: bytes) -> None:
    good = format_rows([CompletedRow("a/b", 5, 7, 1, 16384, "0" * 32, "s", "c")]).encode()
    fast = plain_records(garbage + b"\n" + good)
    assert fast is None or fast == thoroughly(garbage + b"\n" + good)


GOOD = format_rows([CompletedRow("a/b", 5, 7, 1, 16384, "0" * 32, "s", "c")]).encode()


@pytest.mark.parametrize(
    "block",
    [
        GOOD + GOOD[:-2],
        GOOD + GOOD[:30],
        b"\0" * 300,
        b"/" + GOOD,
        b"\0" + GOOD,
        b"garbage\r" + GOOD,
        b"\xef\xbb\xbf" + HEADER + GOOD,
        GOOD[:-2] + HEADER + GOOD,
        GOOD.replace(b"a/b", b"a/../b"),
        GOOD.replace(b"a/b", b'a"b'),
        GOOD.replace(b",5,", b",20000,"),
        GOOD.replace(b",5,", b",0,").replace(b",1,", b",2,"),
        GOOD.replace(b",1,", b",2,"),
        GOOD + GOOD.replace(b",1,", b",2,"),
    ],
    ids=[
        "no line end",
        "cut off",
        "zeros",
        "absolute",
        "a NUL",
        "a lone CR",
        "a BOM",
        "glued",
        "outside",
        "a quote",
        "too few chunks",
        "chunks of an empty file",
        "too many chunks",
        "one of two",
    ],
)
def test_what_is_not_clearly_valid_is_left_to_the_thorough_path(block: bytes) -> None:
    assert plain_records(block) is None


def test_plain_rows_take_the_fast_path() -> None:
    rows = [
        CompletedRow(f"run {n}/näher.tif", n * 1000, -n, count_chunks(n * 1000, 1024), 1024, "a" * 32, "s", "c")
        for n in range(5)
    ]
    records = plain_records(HEADER + format_rows(rows).encode() + HEADER)
    assert records == [version_of(row).identity() + b"\xaa" * 16 for row in rows]
