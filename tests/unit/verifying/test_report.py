"""What a verification prints, in its three forms, and what it calls proved."""

from __future__ import annotations

import io
import json

import pytest

from dfud.core.version import FileVersion
from dfud.messages import ReaderDone
from dfud.verifying.report import FileStatus, FileVerdict, Report, RowVerdict

TOTALS = ReaderDone(100, 1_000_000, 3)
SAME = FileVerdict(FileVersion(b"a/\xff same\n", 5, -7), FileStatus.SAME)
INCOMPLETE = FileVerdict(FileVersion(b"part", 5, 7), FileStatus.INCOMPLETE, "2-3 7")
DIFFERS = FileVerdict(FileVersion(b"other", 5, 7), FileStatus.DIFFERS, reason="the reason")
MISSING = FileVerdict(FileVersion(b"new", 5, 7), FileStatus.MISSING)
GOOD_ROW = RowVerdict(b"a", "")
BAD_ROW = RowVerdict(b"b\n", "is gone")
UNREADABLE_ROW = RowVerdict(b"", "row 2 of T cannot be read")


def report(
    *verdicts: FileVerdict | RowVerdict, as_json: bool = False, print0: bool = False, has_tables: bool = False
) -> tuple[bytes, bool]:
    """Return what is printed, and whether everything is proved."""
    raw = io.BytesIO()
    output = io.TextIOWrapper(raw, encoding="utf-8", newline="")
    made = Report(output, as_json, print0)
    for verdict in verdicts:
        if isinstance(verdict, FileVerdict):
            made.add_file(verdict)
        else:
            made.add_row(verdict)
    is_proved = made.finish(TOTALS, has_tables)
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
        "2 same, 1 differs, 0 missing, 0 incomplete; recorded uploads on the topic: 1 of 2",
    ]


@pytest.mark.parametrize("rows", [(), (GOOD_ROW,), (BAD_ROW, GOOD_ROW, UNREADABLE_ROW)])
@pytest.mark.parametrize("files", [(), (SAME,), (SAME, INCOMPLETE, DIFFERS, MISSING)])
def test_json_is_one_object(files: tuple[FileVerdict, ...], rows: tuple[RowVerdict, ...]) -> None:
    printed, is_proved = report(*files, *rows, as_json=True, has_tables=bool(rows))
    made = json.loads(printed)
    assert list(made) == ["files", "tables", "summary"]
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
        "folders_unread": 0,
        "proved": is_proved,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("verdicts", "has_tables", "is_proved"),
    [
        pytest.param([SAME], False, True, id="no tables, all files there"),
        pytest.param([SAME, MISSING], False, False, id="no tables, a file missing"),
        pytest.param([SAME, DIFFERS], False, False, id="no tables, a file differs"),
        pytest.param([SAME, INCOMPLETE], False, False, id="no tables, a file incomplete"),
        pytest.param([SAME, MISSING, DIFFERS, GOOD_ROW], True, True, id="all that is recorded is there"),
        pytest.param([SAME, BAD_ROW], True, False, id="a recorded upload is not there"),
        pytest.param([SAME, UNREADABLE_ROW], True, False, id="a row cannot be read"),
        pytest.param([], False, True, id="nothing"),
    ],
)
def test_what_is_proved(verdicts: list[FileVerdict | RowVerdict], has_tables: bool, is_proved: bool) -> None:
    assert report(*verdicts, has_tables=has_tables)[1] is is_proved
