"""What a verification prints, in its three forms, and what it calls proved."""

from __future__ import annotations

import io
import json

import pytest

from dfud.core.version import FileVersion
from dfud.messages import Gap, PartialVersion, ReaderDone
from dfud.verifying.report import FileStatus, FileVerdict, Report, RowVerdict

TOTALS = ReaderDone(100, 1_000_000, 3)
SAME = FileVerdict(FileVersion(b"a/\xff same\n", 5, -7), FileStatus.SAME)
INCOMPLETE = FileVerdict(FileVersion(b"part", 5, 7), FileStatus.INCOMPLETE, "2-3 7")
DIFFERS = FileVerdict(FileVersion(b"other", 5, 7), FileStatus.DIFFERS, reason="the reason")
MISSING = FileVerdict(FileVersion(b"new", 5, 7), FileStatus.MISSING)
GOOD_ROW = RowVerdict(b"a", "")
BAD_ROW = RowVerdict(b"b\n", "is gone")
UNREADABLE_ROW = RowVerdict(b"", "row 2 of T cannot be read")


def report(*verdicts: FileVerdict | RowVerdict, as_json: bool = False, print0: bool = False) -> tuple[bytes, bool]:
    """Return what is printed, and whether everything is proved."""
    raw = io.BytesIO()
    output = io.TextIOWrapper(raw, encoding="utf-8", newline="")
    made = Report(output, as_json, print0)
    for verdict in verdicts:
        if isinstance(verdict, FileVerdict):
            made.add_file(verdict)
        else:
            made.add_row(verdict)
    is_proved = made.finish(TOTALS, seconds=2.0)
    output.flush()
    return raw.getvalue(), is_proved


def test_lines_name_all_files_but_those_that_are_the_same() -> None:
    printed, is_proved = report(SAME, INCOMPLETE, DIFFERS, MISSING, GOOD_ROW, BAD_ROW, UNREADABLE_ROW)
    assert printed.decode().splitlines() == [
        "incomplete: part; chunks 2-3 7 are missing",
        "differs: other; the reason",
        "missing: new",
        "b\\n is gone",
        "row 2 of T cannot be read",
        "summary: 4 files, 1.0 MB, 2.0 s, 500.0 kB/s, 3 failed, 0 left",
        "1 same, 1 differs, 1 missing, 1 incomplete; recorded uploads on the topic: 1 of 3",
    ]
    assert not is_proved


def test_control_characters_are_escaped() -> None:
    printed, _ = report(DIFFERS._replace(reason="\x1b[2J"), BAD_ROW._replace(path=b"\x1b", fault="\x9b"))
    text = printed.decode()
    assert "differs: other; \\x1b[2J\n\\x1b \\x9b\n" in text
    assert text.replace("\n", "").isprintable()


def test_only_names_are_printed_for_print0(capsys: pytest.CaptureFixture[str]) -> None:
    printed, _ = report(SAME, DIFFERS, SAME, GOOD_ROW, BAD_ROW, print0=True)
    assert printed == b"a/\xff same\n\0" * 2
    assert capsys.readouterr().err.splitlines() == [
        "b\\n is gone",
        "summary: 3 files, 1.0 MB, 2.0 s, 500.0 kB/s, 1 failed, 0 left",
        "2 same, 1 differs, 0 missing, 0 incomplete; recorded uploads on the topic: 1 of 2",
    ]


@pytest.mark.parametrize("rows", [(), (GOOD_ROW,), (BAD_ROW, GOOD_ROW, UNREADABLE_ROW)])
@pytest.mark.parametrize("files", [(), (SAME,), (SAME, INCOMPLETE, DIFFERS, MISSING)])
def test_json_is_one_object(files: tuple[FileVerdict, ...], rows: tuple[RowVerdict, ...]) -> None:
    printed, is_proved = report(*files, *rows, as_json=True)
    made = json.loads(printed)
    assert list(made) == ["files", "tables", "gaps", "incomplete_versions", "summary"]
    expected = [
        {"path": "a/\udcff same\n", "size": 5, "mtime_ns": -7, "status": "same"},
        {"path": "part", "size": 5, "mtime_ns": 7, "status": "incomplete", "chunks_missing": "2-3 7"},
        {"path": "other", "size": 5, "mtime_ns": 7, "status": "differs", "why": "the reason"},
        {"path": "new", "size": 5, "mtime_ns": 7, "status": "missing"},
    ]
    assert made["files"] == expected[: len(files)]
    faults = [{"path": "b\n", "why": "is gone"}, {"path": "", "why": "row 2 of T cannot be read"}]
    assert made["tables"] == (faults if len(rows) == 3 else [])
    few = len(files) < 4
    assert made["summary"] == {
        "same": int(bool(files)), "differs": int(not few), "missing": int(not few), "incomplete": int(not few),
        "rows": len(rows), "rows_wrong": 2 if len(rows) == 3 else 0, "messages": 100, "messages_refused": 3,
        "folders_unread": 0, "versions_corrupt": 0, "versions_unchecked": 0,
        "proved": is_proved,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("verdicts", "is_proved"),
    [
        pytest.param([], True, id="nothing"),
        pytest.param([SAME, GOOD_ROW], True, id="all is there"),
        pytest.param([SAME, MISSING, GOOD_ROW], False, id="a file missing that no row records"),
        pytest.param([SAME, DIFFERS], False, id="a file differs"),
        pytest.param([SAME, INCOMPLETE], False, id="a file incomplete"),
        pytest.param([SAME, BAD_ROW], False, id="a recorded upload is not there"),
        pytest.param([SAME, UNREADABLE_ROW], False, id="a row cannot be read"),
    ],
)
def test_what_is_proved(verdicts: list[FileVerdict | RowVerdict], is_proved: bool) -> None:
    assert report(*verdicts)[1] is is_proved


def test_what_was_not_checked_is_not_proved() -> None:
    output = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    assert Report(output, False, False).finish(TOTALS)
    assert not Report(output, False, False).finish(ReaderDone(1, 1, 0, 1))


@pytest.mark.parametrize("as_json", [False, True])
def test_what_the_topic_lacks_is_named(as_json: bool) -> None:
    raw = io.BytesIO()
    output = io.TextIOWrapper(raw, encoding="utf-8", newline="")
    made = Report(output, as_json, False)
    made.add_file(SAME)
    made.add_gap(Gap("", 2, 0, 4, "damaged", "bad CRC"))
    made.add_gap(Gap("", 3, 7, 7, "cut", ""))
    made.add_replaced("T")
    made.add_incomplete(PartialVersion(b"old", 9, 7, 1, "xxh3_128", "", ((1, 8),), False, False, bytes(16)), "9")
    assert not made.finish(TOTALS)
    printed = raw.getvalue().decode()
    if not as_json:
        assert printed.splitlines()[:3] == [
            "partition 2: offsets 0-4 cannot be read and are skipped: bad CRC",
            "partition 3: offset 7 is no longer there, as after an unclean leader election; "
            "what took the place is read",
            "incomplete on the topic: old; chunks 9 are missing",
        ]
        return
    found = json.loads(printed)
    assert found["tables"] == []
    assert found["gaps"][0] == {
        "partition": 2,
        "first": 0,
        "last": 4,
        "reason": "cannot be read and are skipped: bad CRC",
    }
    assert found["incomplete_versions"] == [{"path": "old", "size": 9, "mtime_ns": 7, "chunks_missing": "9"}]
