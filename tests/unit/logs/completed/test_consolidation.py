"""Merging shards into the completed table, whatever fails."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dfud.core.tables import BadRow, CompletedRow, format_table, read_completed, version_of
from dfud.core.version import FileVersion
from dfud.logs.completed.consolidation import Consolidated, append_shards, consolidate
from dfud.logs.completed.merging import parse_time
from dfud.logs.layout import LogsFolder
from dfud.logs.table_files import read_lines
from tests.helpers.folders import folder_of
from tests.helpers.full_disk import full_disk
from tests.helpers.recorded import digest_of

TIME = "2026-11-24T18:00:00.000+01:00"


def row(name: str, digest: str = "0" * 32) -> CompletedRow:
    return CompletedRow(name, 5, 7, 1, 16384, digest, TIME, TIME)


@pytest.fixture
def logs(tmp_path: Path) -> LogsFolder:
    folder = LogsFolder(str(tmp_path), "T")
    os.mkdir(folder.path)
    return folder


def lines(*rows: tuple[str, int, str]) -> bytes:
    """Return a table of rows, each of a path, a size and a minute in which it was completed."""
    return format_table(
        CompletedRow,
        [
            CompletedRow(name, size, 7, 1, 16384, "0" * 32, TIME, f"2026-11-24T18:{minute}:00.000001+01:00")
            for name, size, minute in rows
        ],
    ).encode()


def write(path: str, *names: str, more: str = "") -> None:
    text = format_table(CompletedRow, map(row, names)) + more
    Path(path).write_bytes(text.encode("utf-8", "surrogateescape"))


def names(path: str) -> list[str]:
    found = list(read_completed(read_lines(folder_of(path), path)))
    assert not any(isinstance(each, BadRow) for each in found)
    return [each.rel_filepath for each in found if isinstance(each, CompletedRow)]


def run(logs: LogsFolder) -> Consolidated:
    return consolidate(logs, logs.shards())


def knows(done: Consolidated, *names: str) -> bool:
    return all(digest_of(done.completed, version_of(row(name))) == bytes(16) for name in names)


def test_shards_become_one_table_in_their_order(logs: LogsFolder) -> None:
    write(logs.completed, "old", "\udcff, \n")
    write(logs.shard(0, 2), "three")
    write(logs.shard(0, 1), "one", "two")
    done = run(logs)
    assert names(logs.completed) == ["old", "\udcff, \n", "one", "two", "three"]
    assert os.listdir(logs.path) == ["uploaded_to_T.csv"]
    assert (done.rejected, done.error, len(done.completed)) == ([], None, 5)
    assert knows(done, "old", "\udcff, \n", "one", "two", "three")


def test_shards_of_old_names_are_merged_too(logs: LogsFolder) -> None:
    write(logs.completed, "old")
    for name, path in (
        ("one", "uploaded_to_T_p1.csv"),
        ("two", "uploaded_to_T_p0_1.csv"),
        ("three", "uploaded_to_T~p0_2.csv"),
    ):
        write(os.path.join(logs.path, path), name)
    assert knows(run(logs), "old", "one", "two", "three")
    assert names(logs.completed) == ["old", "one", "two", "three"]
    assert os.listdir(logs.path) == ["uploaded_to_T.csv"]


def test_the_first_shards_make_the_table(logs: LogsFolder) -> None:
    write(logs.shard(1, 1), "one")
    assert knows(run(logs), "one")
    assert names(logs.completed) == ["one"]


def test_nothing_is_written_where_nothing_changes(logs: LogsFolder) -> None:
    assert len(run(logs).completed) == 0
    assert os.listdir(logs.path) == []
    write(logs.completed, "one")
    before = os.stat(logs.completed)
    assert knows(run(logs), "one")
    after = os.stat(logs.completed)
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)


def test_a_crash_between_the_table_and_the_removal_of_the_shards_doubles_no_row(
    logs: LogsFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(logs.completed, "old")
    write(logs.shard(0, 1), "one", "two")

    def crash(path: str, *, dir_fd: int) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(os, "unlink", crash)
        with pytest.raises(KeyboardInterrupt):
            run(logs)
    assert logs.shards(), "it did not come to the shards"
    write(logs.shard(0, 2), "three")
    assert len(run(logs).completed) == 4
    assert names(logs.completed) == ["old", "one", "two", "three"]
    assert not logs.shards()


def test_shards_that_cannot_be_removed_double_no_row(logs: LogsFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    write(logs.shard(0, 1), "one")

    def refuse(path: str, *, dir_fd: int) -> None:
        raise PermissionError(1, "Operation not permitted", path)

    with monkeypatch.context() as patched:
        patched.setattr(os, "unlink", refuse)
        for _ in range(3):
            assert run(logs).error is None
    assert names(logs.completed) == ["one"]


def test_shards_that_were_concatenated_by_hand_are_one_table(logs: LogsFolder) -> None:
    write(logs.shard(0, 1), "one", "two")
    write(logs.shard(0, 2), "three")
    parts = [Path(path).read_bytes() for path in logs.shards()]
    for path in logs.shards():
        os.unlink(path)
    Path(logs.completed).write_bytes(b"\xef\xbb\xbf" + parts[0] + b"\n" + b"\xef\xbb\xbf" + parts[1] + parts[0])
    done = run(logs)
    assert knows(done, "one", "two", "three")
    assert done.rejected == []
    write(logs.shard(0, 1), "three", "four")
    run(logs)
    assert names(logs.completed) == ["one", "two", "three", "one", "two", "four"]


@pytest.mark.parametrize("content", [b"", b"\n", b"\0" * 300], ids=["empty", "blank", "zeros"])
@pytest.mark.parametrize("which", ["completed", "shard"])
def test_a_table_that_a_power_cut_has_emptied_is_empty(logs: LogsFolder, which: str, content: bytes) -> None:
    path = logs.completed if which == "completed" else logs.shard(1, 1)
    Path(path).write_bytes(content)
    write(logs.shard(0, 1), "one")
    done = run(logs)
    assert names(logs.completed) == ["one"]
    assert knows(done, "one")
    assert len(done.rejected) == (content[:1] == b"\0")


def test_a_truncated_table_gets_complete_rows_after_it(logs: LogsFolder) -> None:
    write(logs.completed, "one", "two")
    whole = Path(logs.completed).read_bytes()
    Path(logs.completed).write_bytes(whole[: -len(TIME) - 20])
    write(logs.shard(0, 1), "three")
    done = run(logs)
    assert names(logs.completed) == ["one", "three"]
    assert [(table, aside.number) for table, aside in done.rejected] == [(logs.completed, 3)]
    assert Path(f"{logs.completed}.bad").read_text().startswith("two,5,7,")


def test_a_table_without_its_last_line_end_gets_its_rows_on_lines_of_their_own(logs: LogsFolder) -> None:
    write(logs.completed, "one")
    Path(logs.completed).write_bytes(Path(logs.completed).read_bytes()[:-2])
    write(logs.shard(0, 1), "two")
    run(logs)
    assert names(logs.completed) == ["one", "two"]


def test_bad_rows_are_saved_once_and_returned(logs: LogsFolder) -> None:
    write(logs.completed, "one", more="what is\udcff this\r\n")
    write(logs.shard(0, 1), "two", more='"\r\n')
    done = run(logs)
    assert [(table, aside.number) for table, aside in done.rejected] == [
        (logs.completed, 3),
        (logs.shard(0, 1), 3),
    ]
    assert names(logs.completed) == ["one", "two"]
    assert Path(f"{logs.completed}.bad").read_bytes() == b"what is\xff this\n"
    assert Path(f"{logs.shard(0, 1)}.bad").read_bytes() == b'"\n'
    assert run(logs).rejected == []
    assert Path(f"{logs.completed}.bad").read_bytes() == b"what is\xff this\n"


def test_of_a_version_that_was_recorded_twice_the_last_digest_counts(logs: LogsFolder) -> None:
    for first, last in (("a", "b"), ("b", "a")):
        Path(logs.completed).unlink(missing_ok=True)
        for number, digest in enumerate((first, last), 1):
            text = format_table(CompletedRow, [row("one", digest * 32)])
            Path(logs.shard(0, number)).write_bytes(text.encode())
            run(logs)
        done = run(logs)
        assert len(names(logs.completed)) == 2
        assert digest_of(done.completed, version_of(row("one"))) == bytes.fromhex(last * 32)


def test_a_full_disk_changes_nothing_and_the_index_is_complete(logs: LogsFolder) -> None:
    write(logs.completed, "old", more="garbage\r\n")
    write(logs.shard(0, 1), *(f"file {number}" for number in range(50)))
    before = {name: Path(logs.path, name).read_bytes() for name in os.listdir(logs.path)}
    with full_disk(300):
        done = run(logs)
    assert done.error is not None
    assert knows(done, "old", *(f"file {number}" for number in range(50)))
    left = {
        name: Path(logs.path, name).read_bytes() for name in os.listdir(logs.path) if not name.endswith(".bad")
    }
    assert left == before
    done = run(logs)
    assert done.error is None
    assert len(names(logs.completed)) == 51


def test_a_failure_is_returned_and_loses_nothing(logs: LogsFolder) -> None:
    write(logs.shard(0, 1), "one", more="garbage\r\n")
    os.mkdir(f"{logs.shard(0, 1)}.bad")
    done = run(logs)
    assert isinstance(done.error, IsADirectoryError)
    assert knows(done, "one")
    assert len(logs.shards()) == 1
    assert not os.path.exists(logs.completed)


def test_a_table_that_cannot_be_read_is_an_error(logs: LogsFolder) -> None:
    os.mkdir(logs.completed)
    with pytest.raises(IsADirectoryError):
        run(logs)


def has_last(done: Consolidated, name: str, size: int) -> bool:
    return digest_of(done.completed, FileVersion(name.encode(), size, 7)) is not None


@pytest.mark.parametrize("at_the_end", [False, True])
def test_the_rows_of_a_path_that_changed_its_lane_keep_their_order(logs: LogsFolder, at_the_end: bool) -> None:
    Path(logs.shard(0, 1)).write_bytes(lines(("f", 2, "02"), ("g", 1, "04")))
    Path(logs.shard(0, 2)).write_bytes(lines(("f", 4, "06")))
    Path(logs.shard(1, 1)).write_bytes(lines(("f", 1, "01"), ("f", 3, "03"), ('x/"y"', 1, "05"), ("x", 1, "06")))
    if at_the_end:
        assert append_shards(logs, logs.shards()) is None
    done = run(logs)
    assert names(logs.completed) == ["f", "f", "f", "g", 'x/"y"', "f", "x"]
    assert [has_last(done, "f", size) for size in range(1, 5)] == [False, False, False, True]
    assert [has_last(done, "x", 1), has_last(done, 'x/"y"', 1)] == [True, False]
    assert done.latest == parse_time("2026-11-24T18:06:00.000001+01:00")


@pytest.mark.parametrize("left", [0, 1])
def test_a_crash_before_one_of_the_shards_is_removed_brings_no_earlier_version_back(
    logs: LogsFolder, left: int
) -> None:
    shards = [lines(("f", 1, "01"), ("x/y", 1, "01")), lines(("f", 2, "02"), ("x", 1, "02"))]
    for lane, content in enumerate(shards):
        Path(logs.shard(lane, 1)).write_bytes(content)
    run(logs)
    Path(logs.shard(left, 1)).write_bytes(shards[left])
    done = run(logs)
    assert names(logs.completed) == ["f", "x/y", "f", "x"]
    assert [has_last(done, "f", 1), has_last(done, "f", 2)] == [False, True]
    assert [has_last(done, "x/y", 1), has_last(done, "x", 1)] == [False, True]
    assert not logs.shards()
