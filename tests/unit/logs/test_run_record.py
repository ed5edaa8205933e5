"""The text of the record: whatever is left of it, it never says that less is to be looked at."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dfud.logs.run_record import EVERYTHING, RunRecord, format_record, parse_record

times = st.integers(-(10**22), 10**23)
records = st.builds(RunRecord, times, times, times, st.tuples(times, times))


@given(records, st.lists(st.binary(min_size=1)))
def test_a_record_is_read_as_it_was_written(record: RunRecord, paths: list[bytes]) -> None:
    assert parse_record(format_record(record, paths)) == (record, paths)


@given(records, records)
def test_a_record_has_one_length(one: RunRecord, other: RunRecord) -> None:
    assert len(format_record(one, ())) == len(format_record(other, ())) < 512


def test_an_example() -> None:
    record = RunRecord(1_700_000_000_000_000_001, 1_700_000_000_000_000_002, 3, (4, 5))
    assert format_record(record, [b"two\nlines \xff", b"a/b"]) == (
        b"000001700000000000000001\n"
        b"ended=000001700000000000000002 compared=000000000000000000000003 "
        b"missed=000000000000000000000004,000000000000000000000005\n"
        b"two%0Alines%20%FF\n"
        b"a/b\n"
    )


@pytest.mark.parametrize("text", [b"", b"\n", b" \n"])
def test_an_empty_file_is_an_orderly_end(text: bytes) -> None:
    assert parse_record(text) == (None, [])


@pytest.mark.parametrize(
    ("text", "since_ns", "paths"),
    [
        (b"%024d\n" % 7, 7, []),
        (b"%024d" % 7, 7, []),
        (b"%024d\na%%20folder\nb/c\n" % 7, 7, [b"a folder", b"b/c"]),
        (b"%024d\nwhole\nhal" % 7, 7, [b"whole"]),
        (b"\0" * 25, EVERYTHING, []),
        (b"12a\na\n", EVERYTHING, [b"a"]),
    ],
)
def test_the_records_of_older_versions_are_read(text: bytes, since_ns: int, paths: list[bytes]) -> None:
    assert parse_record(text) == (RunRecord(since_ns), paths)


def test_an_older_version_reads_a_newer_record() -> None:
    """It looks at the first line only, and takes the others for the names of folders."""
    text = format_record(RunRecord(7, 8, 9, (1, 2)), ())
    assert int(text.partition(b"\n")[0]) == 7


@given(records.filter(lambda record: record.since_ns > 0), st.integers(0, 200))
def test_what_is_cut_off_is_no_orderly_end(record: RunRecord, length: int) -> None:
    whole = format_record(record, ())
    text = whole[:length]
    read, _ = parse_record(text)
    if text == whole or not text:
        return
    assert read is not None
    assert read.since_ns <= record.since_ns
    assert not read.is_ended


def test_a_time_that_cannot_be_read_is_no_orderly_end() -> None:
    text = bytearray(format_record(RunRecord(7, 8, 9, (1, 2)), ()))
    text[:10] = bytes(10)
    read, _ = parse_record(bytes(text))
    assert read == RunRecord(EVERYTHING)
