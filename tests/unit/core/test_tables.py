"""The tables: written, read back, damaged, edited, and large."""

from __future__ import annotations

import csv
import io
import os
import time
import tracemalloc
from collections.abc import Iterator
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given

from dfud.core.chunking import count_chunks
from dfud.core.ranges import RangeSet
from dfud.core.tables import (
    BadRow,
    CompletedRow,
    InProgressRow,
    completed_line,
    format_row,
    format_rows,
    format_table,
    in_progress_row,
    read_completed,
    read_in_progress,
    stamp_of,
    version_of,
)
from dfud.core.version import UNKNOWN_STAMP, FileStamp, FileVersion

NUMBERS = ("size", "mtime_ns", "chunk_size", "n_chunks", "n_chunks_delivered", "n_chunks_to_send")
TIME = "2026-11-24T18:00:00.000+01:00"
ODD = st.sampled_from([b'"', b"'", b",", b";", b"\n", b"\r", b"\r\n", b"\xff", b" ", "ü".encode(), b"\x85", b"=1"])
PATHS = (
    st.lists(st.one_of(ODD, st.binary(min_size=1, max_size=3)), min_size=1, max_size=8)
    .map(lambda parts: b"".join(parts).replace(b"\0", b"0").replace(b"..", b"__").lstrip(b"/"))
    .filter(bool)
)
VERSIONS = st.builds(FileVersion, PATHS, st.integers(0, 1 << 62), st.integers(-(1 << 63), (1 << 63) - 1))
CHUNK_SIZES = st.sampled_from([1, 16384, 1 << 20])


@st.composite
def completed_rows(draw: st.DrawFn) -> CompletedRow:
    version, chunk_size = draw(VERSIONS), draw(CHUNK_SIZES)
    digest = draw(st.integers(0, (1 << 128) - 1))
    n_chunks = count_chunks(version.size, chunk_size)
    return CompletedRow(
        os.fsdecode(version.path), *version[1:], n_chunks, chunk_size, f"{digest:032x}", TIME, TIME
    )


@st.composite
def in_progress_rows(draw: st.DrawFn) -> InProgressRow:
    version, chunk_size = draw(VERSIONS), draw(CHUNK_SIZES)
    n_chunks = count_chunks(version.size, chunk_size)
    delivered = RangeSet(
        (number, number) for number in draw(st.lists(st.integers(1, 50), max_size=6)) if number <= n_chunks
    )
    return in_progress_row(version, chunk_size, delivered, TIME)


def lines(text: str) -> io.StringIO:
    return io.StringIO(text, newline="")


def row(path: str, size: int = 5) -> CompletedRow:
    return CompletedRow(path, size, 7, 1, 16384, "0" * 32, TIME, TIME)


def good(text: str) -> list[str]:
    return [found.rel_filepath for found in read_completed(lines(text)) if isinstance(found, CompletedRow)]


def bad(text: str) -> list[BadRow]:
    return [found for found in read_completed(lines(text)) if isinstance(found, BadRow)]


# -- round trips


@given(st.lists(completed_rows(), max_size=5))
def test_a_completed_table_is_read_back(rows: list[CompletedRow]) -> None:
    text = format_table(CompletedRow, rows)
    assert list(read_completed(lines(text))) == rows
    bytes_ = text.encode("utf-8", "surrogateescape").decode("utf-8", "surrogateescape")
    assert list(read_completed(lines(bytes_))) == rows


@given(st.lists(in_progress_rows(), max_size=5))
def test_an_in_progress_table_is_read_back(rows: list[InProgressRow]) -> None:
    assert list(read_in_progress(lines(format_table(InProgressRow, rows)))) == rows


@given(st.lists(completed_rows(), max_size=5))
def test_any_csv_reader_understands_a_table(rows: list[CompletedRow]) -> None:
    """Read by the plain `csv` module, which our reader uses only in part."""
    text = format_table(CompletedRow, rows)
    header, *cells = csv.reader(lines(text), strict=True)
    assert tuple(header) == CompletedRow._fields
    assert cells == [[str(cell) for cell in each] for each in rows]
    assert text.endswith("\r\n")


@given(VERSIONS, CHUNK_SIZES)
def test_a_row_is_about_its_version(version: FileVersion, chunk_size: int) -> None:
    assert version_of(in_progress_row(version, chunk_size, RangeSet(), TIME)) == version


def test_the_columns_are_those_of_the_contract() -> None:
    assert ",".join(InProgressRow._fields) == (
        "rel_filepath,size,mtime_ns,chunk_size,n_chunks,n_chunks_delivered,n_chunks_to_send,chunks_to_send,started"
        ",ctime_ns,inode"
    )
    assert ",".join(CompletedRow._fields) == (
        "rel_filepath,size,mtime_ns,n_chunks,chunk_size,xxh3_128,started,completed"
    )


def test_a_file_of_100_gb_is_a_row_of_a_few_bytes() -> None:
    delivered = RangeSet([(513, 699), (701, 701), (705, 6_103_516)])
    found = in_progress_row(FileVersion(b"big", 100 * 10**9, 5), 16384, delivered, TIME, FileStamp(6, 42))
    assert found.chunks_to_send == "1-512 700 702-704"
    assert (found.n_chunks, found.n_chunks_to_send) == (6_103_516, 516)
    assert format_rows([found]) == (
        f"big,100000000000,5,16384,6103516,6103000,516,1-512 700 702-704,{TIME},6,42\r\n"
    )


def test_only_what_needs_quotes_has_them() -> None:
    assert format_rows([row("plain; name's")]).startswith("plain; name's,5,7,")
    assert format_rows([row('a "b"')]).startswith('"a ""b""",5,7,')


# -- what is wrong in a table affects no other row

NAMES = ["one", 'tw"o', "three, 3", "fo\nur", "five\r\n6", "se;ven", '"', "\udcff", "nine"]
TABLE = format_table(CompletedRow, [row(name) for name in NAMES])
RECORDS = [format_rows([row(name)]) for name in NAMES]
HEADER = format_rows([CompletedRow._fields])


def test_every_truncation_leaves_the_rows_before_it() -> None:
    ends = [len(HEADER) + sum(map(len, RECORDS[:count])) for count in range(len(RECORDS) + 1)]
    for cut in range(len(TABLE)):
        found = good(TABLE[:cut])
        whole = sum(end <= cut for end in ends[1:])
        assert found[:whole] == NAMES[:whole]
        # Of the truncated row only the time at its end, or the line end, can be missing.
        assert found[whole:] in ([], [NAMES[whole]])
        if cut > len(HEADER) and cut not in ends and not found[whole:]:
            assert bad(TABLE[:cut]), f"what is left of a row is not named at {cut}"


GARBAGE = st.one_of(
    st.text(alphabet=st.sampled_from("\",;'0a\0 \t\udcff"), min_size=1, max_size=12),
    st.sampled_from(RECORDS).flatmap(lambda text: st.integers(1, len(text) - 40).map(lambda cut: text[:cut])),
    st.binary(min_size=1, max_size=20).map(os.fsdecode),
).filter(lambda text: text.strip("\r\n"))


@given(st.lists(st.tuples(st.integers(0, len(RECORDS)), GARBAGE), min_size=1, max_size=3))
def test_garbage_lines_affect_nothing_but_themselves(inserted: list[tuple[int, str]]) -> None:
    records = [HEADER, *RECORDS]
    for at, text in sorted(inserted, key=lambda pair: -pair[0]):
        records.insert(at + 1, text.rstrip("\r\n") + "\r\n")
    table = "".join(records)
    assert [name for name in good(table) if name in NAMES] == NAMES
    assert bad(table)


@pytest.mark.parametrize("between", [0, 1, 3, 5000])
@pytest.mark.parametrize("garbage", ['"', '"a,1', 'a"b', '"a",1,2"', '""",', ',"x'])
def test_two_stray_quotes_do_not_swallow_the_rows_between(garbage: str, between: int) -> None:
    rows = [row(f"file {number}") for number in range(between)]
    table = f"{HEADER}{garbage}\r\n{format_rows(rows)}{garbage}\r\n{format_rows([row('last')])}"
    assert good(table) == [f"file {number}" for number in range(between)] + ["last"]
    assert [found.text for found in bad(table)] == [garbage] * 2


@given(st.text(max_size=200))
def test_any_text_is_read_to_its_end(text: str) -> None:
    list(read_completed(lines(text)))
    list(read_in_progress(lines(text)))


def test_a_bad_row_is_named_by_its_number_and_its_text() -> None:
    (found,) = bad(f"{HEADER}{RECORDS[0]}\r\nwhat,is,this\r\n{RECORDS[2]}")
    assert found == BadRow(4, "what,is,this", "it has 3 columns instead of 8")


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('"never closed X', "it is not CSV, or a quote is not closed"),
        ('"never closed ', "it is not CSV, or a quote is not closed"),
        ('X"a",b X', "it has 2 columns instead of 8"),
        (' "a" ', "it has 1 column instead of 8"),
        ("X plain X ", "it has 1 column instead of 8"),
        (format_rows([row("a")]).replace("a,", '"a"b,', 1).rstrip(), "it is not CSV, or a quote is not closed"),
    ],
)
def test_a_bad_row_has_its_text_and_spoils_no_other(line: str, reason: str) -> None:
    good_row = row("sub/good")
    found = list(read_completed(lines(f"{line}\r\n" + format_rows([good_row]))))
    assert found[-1] == good_row
    assert found[0] == BadRow(1, line, reason)


def test_rows_are_counted_from_the_number_of_the_first() -> None:
    assert list(read_completed(lines("bad\r\n\r\nworse"), 7)) == [
        BadRow(7, "bad", "it has 1 column instead of 8"),
        BadRow(9, "worse", "it has 1 column instead of 8"),
    ]


@pytest.mark.parametrize(
    ("names", "cells"),
    [(CompletedRow._fields, 9), (CompletedRow._fields[::-1], 7), (CompletedRow._fields[::-1], 3)],
)
def test_a_row_must_have_the_columns_of_its_header(names: tuple[str, ...], cells: int) -> None:
    text = format_rows([names, ["1"] * cells])
    [found] = read_completed(lines(text))
    assert found == BadRow(2, ",".join(["1"] * cells), f"it has {cells} columns instead of 8")


def test_a_row_without_quotes_is_read_without_csv(monkeypatch: pytest.MonkeyPatch) -> None:
    text = format_table(CompletedRow, [row("a;b")])
    monkeypatch.delattr(csv, "reader")
    assert list(read_completed(lines(text))) == [row("a;b")]


@pytest.mark.parametrize(
    ("size", "delivered", "counts", "to_send"),
    [
        (0, [], (1, 0, 1), "1"),
        (4, [], (1, 0, 1), "1"),
        (5, [], (2, 0, 2), "1-2"),
        (9, [], (3, 0, 3), "1-3"),
        (9, [(2, 2)], (3, 1, 2), "1 3"),
        (9, [(1, 3)], (3, 3, 0), ""),
    ],
)
def test_a_row_says_which_chunks_are_to_be_sent(
    size: int, delivered: list[tuple[int, int]], counts: tuple[int, int, int], to_send: str
) -> None:
    made = in_progress_row(FileVersion(b"a\xff", size, 7), 4, RangeSet(delivered), TIME)
    assert made == InProgressRow("a\udcff", size, 7, 4, *counts, to_send, TIME)


@pytest.mark.parametrize("path", ["plain", 'a"b', "a,b", "a\nb", "a\rb", "a\r\nb", " a;b "])
def test_a_row_is_written_as_csv_writes_it(path: str) -> None:
    assert format_row(row(path)) == format_rows([row(path)])
    assert line(row(path)) == format_rows([row(path)]).encode()


def test_a_row_keeps_the_bytes_of_a_path_that_is_not_utf_8() -> None:
    for path in ("\udcff", "\udcff,"):
        assert line(row(path)) == format_rows([row(path)]).encode("utf-8", "surrogateescape")


def line(row: CompletedRow) -> bytes:
    return completed_line(version_of(row), row.n_chunks, row.chunk_size, row.xxh3_128, row.started, row.completed)


def test_a_row_that_needs_no_quotes_is_written_without_csv(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = format_rows([row("a;b")])
    monkeypatch.delattr(csv, "writer")
    assert format_row(row("a;b")) == expected


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        ("rel_filepath", "", "rel_filepath is not a path inside the directory"),
        ("rel_filepath", "/etc/passwd", "rel_filepath is not a path inside the directory"),
        ("rel_filepath", "a/../../b", "rel_filepath is not a path inside the directory"),
        ("size", "-1", "size is negative"),
        ("size", "1.5", "size is not a whole number"),
        ("size", "9" * 10_000, "size is not a number that a file can have"),
        ("size", "16385", "n_chunks does not follow from size and chunk_size"),
        ("mtime_ns", "1.7E+18", "mtime_ns is not a whole number"),
        ("n_chunks", "2", "n_chunks does not follow from size and chunk_size"),
        ("chunk_size", "0", "n_chunks does not follow from size and chunk_size"),
        ("chunk_size", "x", "chunk_size is not a whole number"),
        ("n_chunks", "x", "n_chunks is not a whole number"),
        ("mtime_ns", "", "mtime_ns is not a whole number"),
        ("xxh3_128", "F" * 32, "xxh3_128 is not 32 hex digits"),
        ("xxh3_128", "", "xxh3_128 is not 32 hex digits"),
    ],
)
def test_an_impossible_completed_row_is_bad(column: str, value: str, reason: str) -> None:
    changed: dict[str, Any] = {column: value}
    (found,) = read_completed(lines(format_rows([row("a")._replace(**changed)])))
    assert isinstance(found, BadRow)
    assert found.reason.endswith(reason)


def test_a_path_with_a_nul_is_bad() -> None:
    (found,) = bad(RECORDS[0].replace("one", "o\0e"))
    assert "not a path inside" in found.reason


@pytest.mark.parametrize("path", ["a..b", "..a/b", "a/...", "size", "rel_filepath"])
def test_a_path_that_looks_like_something_else_is_a_path(path: str) -> None:
    assert good(HEADER + format_rows([row(path)])) == [path]


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"chunks_to_send": "1-3"}, "its numbers of chunks do not add up"),
        ({"n_chunks_to_send": 3}, "do not add up"),
        ({"n_chunks_delivered": 2}, "do not add up"),
        ({"chunks_to_send": "4-5"}, "chunks_to_send exceeds n_chunks"),
        ({"chunks_to_send": "1-"}, "is not a chunk number"),
        ({"n_chunks_delivered": -1}, "n_chunks_delivered is negative"),
        ({"n_chunks": 4}, "n_chunks does not follow from size and chunk_size"),
        ({"rel_filepath": "../a"}, "rel_filepath is not a path inside the directory"),
        *(({column: "x"}, f"{column} is not a whole number") for column in NUMBERS),
        *(({column: -1}, f"{column} is negative") for column in NUMBERS if column != "mtime_ns"),
        *(({column: "0" * 21}, f"{column} is not a number that a file can have") for column in NUMBERS),
    ],
)
def test_an_impossible_in_progress_row_is_bad(changed: dict[str, Any], reason: str) -> None:
    right = InProgressRow("a", 10, 0, 4, 3, 1, 2, "1 3", TIME)
    assert list(read_in_progress(lines(format_rows([right])))) == [right]
    (found,) = read_in_progress(lines(format_rows([right._replace(**changed)])))
    assert isinstance(found, BadRow)
    assert found.reason.endswith(reason)


# -- what users do with tables


def test_concatenated_tables_are_one() -> None:
    assert good(TABLE + TABLE) == NAMES * 2
    assert good(f"{TABLE}\r\n\ufeff{TABLE}") == NAMES * 2
    assert not bad(f"{TABLE}\r\n\ufeff{TABLE}")


def test_columns_may_be_in_another_order_and_more() -> None:
    ours = CompletedRow._fields
    for order in (ours[::-1], ("note", *sorted(ours)), (*ours, "note")):
        cells = [[getattr(row(name), field, "x, y") for field in order] for name in NAMES]
        assert good(format_rows([order, *cells]) + TABLE) == NAMES * 2


def test_lines_may_end_as_other_systems_end_them() -> None:
    assert good(f"{HEADER}{RECORDS[0]}{RECORDS[2]}".replace("\r\n", "\n")) == ["one", "three, 3"]
    assert good("".join(f"{HEADER}{RECORDS[0]}{RECORDS[2]}".split("\r\n")[:1]) + "\r" + RECORDS[0]) == ["one"]


def test_needless_quotes_are_accepted() -> None:
    text = io.StringIO(newline="")
    csv.writer(text, quoting=csv.QUOTE_ALL).writerows([CompletedRow._fields, row("a"), row('b"')])
    assert good(text.getvalue()) == ["a", 'b"']


@pytest.mark.parametrize("text", ["", "\r\n", "\n\n", HEADER, "\0" * 100])
def test_a_table_without_rows_has_none(text: str) -> None:
    assert good(text) == []


# -- size


def table_of(rows: int, path: str) -> Iterator[str]:
    yield HEADER
    for number in range(rows):
        yield f"{path % number},16384,1700000000000000000,1,16384,{number:032x},{TIME},{TIME}\r\n"


def test_reading_takes_the_same_memory_for_any_number_of_rows() -> None:
    peaks = []
    for rows in (1_000, 20_000):
        tracemalloc.start()
        for _ in read_completed(table_of(rows, "sub/%d.bin")):
            pass
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 2 * peaks[0] + 20_000


def test_quotes_that_are_never_closed_cost_no_more_than_their_number() -> None:
    """The closing quote is searched for in the following lines, which are then read again."""
    began = time.process_time()
    assert sum(1 for _ in read_completed(['"a\r\n'] * 50_000)) == 50_000
    assert time.process_time() - began < 10


def test_an_in_progress_table_without_stamps_is_read() -> None:
    fields = InProgressRow._fields[:9]
    old = ["file", 10, 5, 4, 3, 1, 2, "2-3", TIME]
    (found,) = read_in_progress(lines(format_rows([fields, old])))
    assert isinstance(found, InProgressRow)
    assert found[:9] == ("file", 10, 5, 4, 3, 1, 2, "2-3", TIME)
    assert stamp_of(found) == UNKNOWN_STAMP


def test_tables_with_and_without_stamps_may_be_concatenated() -> None:
    stamp = FileStamp(-6, 42)
    new = in_progress_row(FileVersion(b"new", 10, 5), 4, RangeSet(), TIME, stamp)
    old = format_rows([InProgressRow._fields[:9], ["old", 10, 5, 4, 3, 0, 3, "1-3", TIME]])
    found = list(
        read_in_progress(lines(format_table(InProgressRow, [new]) + old + format_table(InProgressRow, [new])))
    )
    assert found == [new, new._replace(rel_filepath="old", ctime_ns=0, inode=0), new]


@pytest.mark.parametrize("cells", [["x", "42"], ["6", "-1"], ["6", "x"], ["6"], ["6", "42", "7"]])
def test_a_stamp_that_no_file_can_have_is_a_bad_row(cells: list[str]) -> None:
    old = ["file", 10, 5, 4, 3, 1, 2, "2-3", TIME]
    (found,) = read_in_progress(lines(format_rows([InProgressRow._fields, [*old, *cells]])))
    assert isinstance(found, BadRow)
