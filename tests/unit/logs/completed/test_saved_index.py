"""The saved index of a completed table, against reading all of the table."""

from __future__ import annotations

import itertools
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import given

from dfud.core.tables import CompletedRow, format_row, format_table, version_of
from dfud.core.version import FileVersion
from dfud.logs.completed import reading
from dfud.logs.completed.reading import load_table
from dfud.logs.completed.recorded import RecordedVersions
from dfud.logs.completed.saved_index import read_index
from dfud.logs.layout import LogsFolder
from tests.helpers.recorded import are_rivals, digest_of, is_last

TIME = "2026-11-24T18:00:00.000+01:00"
PATHS = ("a", "x", "x/y", "x/y/z", "x/w", 'qu"oted')
ROWS = st.lists(st.tuples(st.sampled_from(PATHS), st.integers(0, 2)), max_size=10)


def row(path: str, size: int) -> CompletedRow:
    return CompletedRow(path, size, 7, 1, 16384, f"{hash((path, size)) & (1 << 64) - 1:032x}", TIME, TIME)


@pytest.fixture(autouse=True)
def every_index_pays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MIN_ROWS", 1)


def make_logs(folder: str, rows: list[tuple[str, int]]) -> LogsFolder:
    logs = LogsFolder(folder, "T")
    os.mkdir(logs.path)
    Path(logs.completed).write_bytes(format_table(CompletedRow, [row(*each) for each in rows]).encode())
    return logs


def append(logs: LogsFolder, rows: list[tuple[str, int]]) -> None:
    with open(logs.completed, "a", newline="", encoding="utf-8") as table:
        table.writelines(format_row(row(*each)) for each in rows)


@given(ROWS, ROWS, ROWS)
def test_it_says_what_the_table_says(
    first: list[tuple[str, int]], then: list[tuple[str, int]], last: list[tuple[str, int]]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        logs = make_logs(folder, first)
        for more in (then, last):
            load_table(logs, [])
            append(logs, more)
        recorded = load_table(logs, [])
        rows = [version_of(row(*each)) for each in (*first, *then, *last)]
        for each in itertools.product(PATHS, range(3)):
            version = version_of(row(*each))
            expected = bytes.fromhex(row(*each).xxh3_128) if is_last(rows, version) else None
            assert digest_of(recorded, version) == expected, version
            replaces = any(
                is_last(rows, other) and are_rivals(other.path, version.path) and other != version
                for other in rows
            )
            assert recorded.is_replaced_by(version, version.identity()) >= replaces


def use_no_table(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise AssertionError("the whole table is read")

    monkeypatch.setattr(reading, "_load", fail)


def test_the_table_is_not_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    logs = make_logs(str(tmp_path), [("a", 1), ("x/y", 1)])
    load_table(logs, [])
    use_no_table(monkeypatch)
    append(logs, [("a", 2)])
    recorded = load_table(logs, [])
    assert digest_of(recorded, FileVersion(b"a", 1, 7)) is None
    assert digest_of(recorded, FileVersion(b"a", 2, 7)) is not None
    assert digest_of(recorded, FileVersion(b"x/y", 1, 7)) is not None
    saved = read_index(logs)
    assert saved is not None
    assert saved.table_bytes == os.path.getsize(logs.completed), "it is renewed once there are enough new rows"


def test_a_few_new_rows_are_read_from_the_table_each_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    logs = make_logs(str(tmp_path), [("a", 1)])
    load_table(logs, [])
    monkeypatch.setattr(reading, "MIN_ROWS", 2)
    use_no_table(monkeypatch)
    append(logs, [("a", 2)])
    before = os.stat(logs.index)
    assert digest_of(load_table(logs, []), FileVersion(b"a", 2, 7)) is not None
    assert os.path.samestat(before, os.stat(logs.index))


def spoil_table(logs: LogsFolder) -> None:
    content = Path(logs.completed).read_bytes()
    Path(logs.completed).write_bytes(content.replace(b"x/y,1,7", b"x/y,2,7"))


def shorten_table(logs: LogsFolder) -> None:
    content = Path(logs.completed).read_bytes()
    Path(logs.completed).write_bytes(content[: content.index(b"x/y,1,7")])


def spoil_index(logs: LogsFolder) -> None:
    content = bytearray(Path(logs.index).read_bytes())
    content[-20] ^= 1
    Path(logs.index).write_bytes(content)


def shorten_index(logs: LogsFolder) -> None:
    os.truncate(logs.index, os.path.getsize(logs.index) // 2)


def plant_link(logs: LogsFolder) -> None:
    os.rename(logs.index, logs.index + ".moved")
    os.symlink(logs.index + ".moved", logs.index)


@pytest.mark.parametrize("harm", [spoil_table, shorten_table, spoil_index, shorten_index, plant_link])
def test_an_index_of_something_else_is_not_used(tmp_path: Path, harm: Callable[[LogsFolder], None]) -> None:
    logs = make_logs(str(tmp_path), [("a", 1), ("x/y", 1)])
    load_table(logs, [])
    assert read_index(logs) is not None
    harm(logs)
    assert read_index(logs) is None
    is_recorded = digest_of(load_table(logs, []), FileVersion(b"x/y", 1, 7)) is not None
    assert is_recorded == (harm not in (spoil_table, shorten_table))


def test_no_index_is_written_of_a_table_that_changes_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    logs = make_logs(str(tmp_path), [("a", 1)])
    load = reading._load

    def load_late(*arguments: object) -> RecordedVersions:
        recorded = load(*arguments)  # type: ignore[arg-type]
        append(logs, [("x", 1)])
        return recorded

    monkeypatch.setattr(reading, "_load", load_late)
    load_table(logs, [])
    assert not os.path.exists(logs.index)


def test_a_full_disk_costs_only_the_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    logs = make_logs(str(tmp_path), [("a", 1)])

    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(LogsFolder, "replace", fail)
    assert digest_of(load_table(logs, []), FileVersion(b"a", 1, 7)) is not None
