"""The tables that OpenMSIStream writes; the samples are of OpenMSIStream 1.8.8."""

from __future__ import annotations

import csv
import io
from datetime import datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dfud.core.openmsistream_tables import (
    COMPLETED_FIELDS,
    IN_PROGRESS_FIELDS,
    OpenMSICompletedRow,
    OpenMSIInProgressRow,
    is_openmsistream,
    read_openmsi_completed,
    read_openmsi_in_progress,
)
from dfud.core.ranges import RangeSet
from dfud.core.tables import BadRow

IN_PROGRESS = """\
filename;rel_filepath;n_chunks;n_chunks_delivered;n_chunks_to_send;started;chunks_delivered;chunks_to_send
'19_café.txt';'über/19_café.txt';5;1;4;'Tue Nov 24, 2026 at 18:22:04';{3};{1, 2, 4, 5}
'all.bin';'all.bin';2;2;0;'Tue Nov 24, 2026 at 18:22:04';{1, 2};set()"""
COMPLETED = r'''filename;rel_filepath;n_chunks;started;completed
"""9_it's.dat""";"""9_it's.dat""";1;'Tue Nov 24, 2026 at 18:22:03';'Wed Nov 25, 2026 at 00:02:03'
"'5_quo""te.bin'";"'5_quo""te.bin'";1;'Tue Nov 24, 2026 at 18:22:03';'Tue Nov 24, 2026 at 18:22:03'
"'semi;colon.bin'";"'a b/c/semi;colon.bin'";64;'Tue Nov 24, 2026 at 18:22:03';'Tue Nov 24, 2026 at 18:22:03'
'tab\tname';'scan/back\\slash\udcff.bin';64;'Tue Nov 24, 2026 at 18:22:03';'Tue Nov 24, 2026 at 18:22:03'
'''
STARTED = datetime(2026, 11, 24, 18, 22, 3)

paths = st.text(
    st.characters(exclude_characters="/\0", exclude_categories=()) | st.sampled_from(";'\"\\\n\r\udcff"),
    min_size=1,
).filter(lambda name: name != "..")
numbers = st.sets(st.integers(1, 300))
moments = st.datetimes(datetime(1971, 1, 1), datetime(9999, 12, 30)).map(lambda time: time.replace(microsecond=0))


def write(fields: tuple[str, ...], rows: list[list[str]]) -> list[str]:
    """Write a table as OpenMSIStream does, and return its lines."""
    lines = [";".join(fields)]
    for row in rows:
        text = io.StringIO(newline="")
        csv.writer(text, delimiter=";").writerow(row)
        lines.append(text.getvalue().strip())
    return "\n".join(lines).splitlines(keepends=True)


def when(time: datetime) -> str:
    return repr(time.strftime("%a %b %d, %Y at %H:%M:%S"))


def test_reads_a_real_in_progress_table() -> None:
    time = datetime(2026, 11, 24, 18, 22, 4)
    assert list(read_openmsi_in_progress(IN_PROGRESS.splitlines(keepends=True))) == [
        OpenMSIInProgressRow("über/19_café.txt", 5, RangeSet([(3, 3)]), time),
        OpenMSIInProgressRow("all.bin", 2, RangeSet([(1, 2)]), time),
    ]


def test_reads_a_real_completed_table() -> None:
    assert list(read_openmsi_completed(COMPLETED.splitlines(keepends=True))) == [
        OpenMSICompletedRow("9_it's.dat", 1, STARTED, datetime(2026, 11, 25, 0, 2, 3)),
        OpenMSICompletedRow('5_quo"te.bin', 1, STARTED, STARTED),
        OpenMSICompletedRow("a b/c/semi;colon.bin", 64, STARTED, STARTED),
        OpenMSICompletedRow("scan/back\\slash\udcff.bin", 64, STARTED, STARTED),
    ]


@given(st.lists(st.tuples(paths, st.integers(1, 300), numbers, numbers, moments), max_size=4))
@example([("a", 3, {1, 9}, {2, 3}, STARTED)])
@example([("a", 3, {1, 2}, {2, 3}, STARTED)])
def test_any_in_progress_table_is_read(rows: list[tuple[str, int, set[int], set[int], datetime]]) -> None:
    table = write(
        IN_PROGRESS_FIELDS,
        [
            [repr(path), repr(path), str(n), str(len(done)), str(len(rest)), when(time), repr(done), repr(rest)]
            for path, n, done, rest, time in rows
        ],
    )
    assert is_openmsistream(table)
    read = list(read_openmsi_in_progress(table))
    assert [
        (row.rel_filepath, row.n_chunks, row.started) for row in read if isinstance(row, OpenMSIInProgressRow)
    ] == [(path, n, time) for path, n, _, _, time in rows]
    for row, (_, n, done, rest, _) in zip(read, rows):
        assert isinstance(row, OpenMSIInProgressRow)
        assert {number for number in range(1, 400) if number in row.delivered} == {
            number for number in done - rest if number <= n
        }


@given(st.lists(st.tuples(paths, st.integers(1, 10**9), moments, moments), max_size=4))
def test_any_completed_table_is_read(rows: list[tuple[str, int, datetime, datetime]]) -> None:
    table = write(
        COMPLETED_FIELDS,
        [[repr(path), repr(path), str(n), when(start), when(end)] for path, n, start, end in rows],
    )
    assert list(read_openmsi_completed(table)) == [OpenMSICompletedRow(*row) for row in rows]


def test_concatenated_tables_and_windows_lines_are_read() -> None:
    row = f"'a';'a';1;{when(STARTED)};{when(STARTED)}"
    header = ";".join(COMPLETED_FIELDS)
    lines = [f"{line}\r\n" for line in ("sep=;", header, row, "", "sep=;", header, row)]
    assert is_openmsistream(lines)
    assert list(read_openmsi_completed(lines)) == [OpenMSICompletedRow("a", 1, STARTED, STARTED)] * 2


@pytest.mark.parametrize(
    "first",
    ["", "rel_filepath,size,mtime_ns,n_chunks,chunk_size,xxh3_128,started,completed\r\n", "sep=;\n", "a;b;c\n"],
)
def test_another_table_is_not_one_of_openmsistreams(first: str) -> None:
    assert not is_openmsistream(first.splitlines(keepends=True))


@pytest.mark.parametrize("text", ["[1, 2]", "{1, 2}", "(1, 2)", "{2,1}", "{1, 1, 2}", "[1, 2,]", "{ 1, 2 }"])
def test_sets_and_lists_are_read(text: str) -> None:
    [row] = read_openmsi_in_progress([f"'a';'a';3;2;1;{when(STARTED)};{text};[3]\n"])
    assert row == OpenMSIInProgressRow("a", 3, RangeSet([(1, 2)]), STARTED)


@pytest.mark.parametrize(
    ("column", "cell", "reason"),
    [
        pytest.param(1, "'../a'", "rel_filepath is not a path inside the directory", id="out of the directory"),
        pytest.param(1, "'/etc/passwd'", "inside the directory", id="absolute"),
        pytest.param(1, "'a\\x00'", "inside the directory", id="NUL"),
        pytest.param(1, "''", "inside the directory", id="no path"),
        pytest.param(1, "a" * 99, f"{'a' * 80} is not quoted text", id="no string"),
        pytest.param(1, "'", "' is not quoted text", id="a quote alone"),
        pytest.param(1, "'a\\", "'a\\ is not quoted text", id="string without an end"),
        pytest.param(1, "'a\\'", "\\ is not an escape of a Python string", id="escaped end"),
        pytest.param(1, "'a\\q'", "\\q is not an escape of a Python string", id="unknown escape"),
        pytest.param(
            1, "'\\Uffffffff'", "\\Uffffffff is beyond the last character", id="beyond the last character"
        ),
        pytest.param(1, "'a' * 10**9", "'a' * 10**9 is not quoted text", id="an expression"),
        pytest.param(2, "0", "0 is not a number of chunks", id="no chunks"),
        pytest.param(2, "9" * 19, f"{'9' * 19} is not a number of chunks", id="19 digits"),
        pytest.param(2, "9" * 5000, f"{'9' * 80} is not a number of chunks", id="a long number"),
        pytest.param(5, "'Mon Foo 23, 2026 at 15:43:56'", "' is not a time", id="no month"),
        pytest.param(5, "9" * 99, f"{'9' * 80} is not a time", id="no time"),
        pytest.param(5, "'Mon Feb 31, 2026 at 15:43:56'", "", id="no day"),
        pytest.param(5, "'Mon Feb 01, 0001 at 15:43:56'", "before the first file", id="long ago"),
        pytest.param(6, "__import__('os').system('true')", " is not a set of chunk numbers", id="a call"),
        pytest.param(6, "{1: 2}", " is not a set of chunk numbers", id="a map"),
        pytest.param(6, "{-1}", " is not a set of chunk numbers", id="negative"),
        pytest.param(6, "{0}", "there is no chunk 0", id="chunk 0"),
        pytest.param(6, "[" * 10_000, f"{'[' * 80} is not a set of chunk numbers", id="deep"),
        pytest.param(7, "{1, 2", " is not a set of chunk numbers", id="cut off"),
    ],
)
def test_a_row_that_cannot_be_parsed_is_a_bad_row(column: int, cell: str, reason: str) -> None:
    cells = ["'a'", "'a'", "3", "1", "2", when(STARTED), "{1}", "{2, 3}"]
    cells[column] = cell
    good = OpenMSIInProgressRow("b", 1, RangeSet(), STARTED)
    table = write(IN_PROGRESS_FIELDS, [cells, ["'b'", "'b'", "1", "0", "1", when(STARTED), "set()", "{1}"]])
    bad, after = read_openmsi_in_progress(table)
    assert isinstance(bad, BadRow)
    assert bad.number == 2
    assert bad.reason.endswith(reason)
    assert len(bad.reason) < 120
    assert after == good


@pytest.mark.parametrize(
    ("column", "reason"),
    [(1, "not quoted text"), (2, "not a number of chunks"), (5, "not a time"), (6, "not a set of chunk numbers")],
)
def test_a_reason_has_80_characters_of_a_long_cell(column: int, reason: str) -> None:
    cells = ["'a'", "'a'", "3", "1", "2", when(STARTED), "{1}", "{2, 3}"]
    cells[column] = "x" * 99
    [bad] = read_openmsi_in_progress([";".join(cells)])
    assert bad == BadRow(1, ";".join(cells), f"{'x' * 80} is {reason}")


@pytest.mark.parametrize("line", ["  bad ", "X bad X", "\t;"])
def test_a_bad_row_is_kept_as_it_was(line: str) -> None:
    columns = line.count(";") + 1
    [bad] = read_openmsi_completed([f"{line}\r\n"])
    reason = f"it has {columns} column{'s' if columns > 1 else ''} instead of 5"
    assert bad == BadRow(1, line, reason)


def test_a_row_whose_quotes_are_not_closed_is_bad() -> None:
    [bad] = read_openmsi_completed([f"\"'a'\"x;'a';3;{when(STARTED)};{when(STARTED)}\n"])
    assert isinstance(bad, BadRow)
    assert "expected after" in bad.reason


@pytest.mark.parametrize("text", ["set()", "{}", "{ }", "( , )"])
def test_a_set_may_be_empty(text: str) -> None:
    [row] = read_openmsi_in_progress([f"'a';'a';{'9' * 18};0;1;{when(STARTED)};{text};{{1}}\n"])
    assert row == OpenMSIInProgressRow("a", int("9" * 18), RangeSet(), STARTED)


@pytest.mark.parametrize(
    ("delivered", "to_send", "kept"),
    [
        ("{1, 3}", "{2}", "1 3"),
        ("{1, 2, 3}", "set()", "1-3"),
        ("{1, 3, 4, 7}", "{2}", "1 3"),
        ("{2, 3}", "{1, 2}", "3"),
        ("{1}", "set()", "1"),
    ],
)
def test_only_chunks_that_were_delivered_beyond_doubt_are_kept(delivered: str, to_send: str, kept: str) -> None:
    [row] = read_openmsi_in_progress([f"'a';'a';3;2;1;{when(STARTED)};{delivered};{to_send}\n"])
    assert row == OpenMSIInProgressRow("a", 3, RangeSet.parse(kept), STARTED)


@given(st.text(max_size=200))
def test_any_text_is_read_without_a_failure(text: str) -> None:
    for row in [
        *read_openmsi_in_progress(text.splitlines(keepends=True)),
        *read_openmsi_completed(text.splitlines(keepends=True)),
    ]:
        assert isinstance(row, (OpenMSIInProgressRow, OpenMSICompletedRow, BadRow))
