"""Importing what OpenMSIStream left in LOGS."""

from __future__ import annotations

import os
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from dfud.core.tables import NO_DIGEST, CompletedRow, InProgressRow, format_table
from dfud.files.open_folder import OpenFolder
from dfud.logs import takeover
from dfud.logs.completed.consolidation import consolidate
from dfud.logs.in_progress_table import read_in_progress_table
from dfud.logs.layout import LogsFolder
from dfud.logs.takeover import import_openmsistream, read_openmsistream

IN_PROGRESS = (
    "filename;rel_filepath;n_chunks;n_chunks_delivered;n_chunks_to_send;started;chunks_delivered;chunks_to_send"
)
COMPLETED = "filename;rel_filepath;n_chunks;started;completed"
NOW = datetime(2026, 11, 23, 15, 43, 56)
CHUNK = 4


def when(time: datetime) -> str:
    return repr(time.strftime("%a %b %d, %Y at %H:%M:%S"))


def iso(time: datetime) -> str:
    return time.astimezone().isoformat(timespec="milliseconds")


@pytest.fixture
def folder(tmp_path: Path) -> LogsFolder:
    (tmp_path / "LOGS").mkdir()
    return LogsFolder(str(tmp_path), "T")


def put_file(folder: LogsFolder, name: str, size: int, changed: datetime = NOW - timedelta(hours=1)) -> int:
    """Make a file beside LOGS; return its mtime_ns."""
    path = Path(folder.path).parent / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(bytes(size))
    os.utime(path, (changed.timestamp(), changed.timestamp()))
    return path.stat().st_mtime_ns


def put_table(folder: LogsFolder, name: str, *lines: str) -> Path:
    path = Path(folder.path) / name
    path.write_text("\n".join(lines))  # its last line has no line end
    return path


def left_row(name: str, n_chunks: int, delivered: set[int], started: datetime = NOW) -> str:
    rest = set(range(1, n_chunks + 1)) - delivered
    counts = f"{n_chunks};{len(delivered)};{len(rest)}"
    return f"'{name}';'{name}';{counts};{when(started)};{delivered or 'set()'};{rest or 'set()'}"


def completed_row(name: str, n_chunks: int, completed: datetime = NOW) -> str:
    return f"'{name}';'{name}';{n_chunks};{when(NOW - timedelta(minutes=1))};{when(completed)}"


def run_import(folder: LogsFolder, keep_chunks: bool = True) -> takeover.OpenMSIState:
    directory = os.path.dirname(folder.path)
    found = read_openmsistream(folder, directory, CHUNK, keep_chunks)
    assert found is not None
    import_openmsistream(folder, found)
    assert read_openmsistream(folder, directory, CHUNK, keep_chunks) is None
    return found


def known(folder: LogsFolder) -> list[str]:
    """Return the lines of the completed table once the shards are merged, without the header."""
    consolidated = consolidate(folder, folder.shards())
    assert not consolidated.rejected
    return Path(folder.completed).read_text().splitlines()[1:]


def left(folder: LogsFolder) -> list[InProgressRow]:
    rows, bad = read_in_progress_table(folder)
    assert not bad
    return rows


def test_nothing_is_done_where_nothing_was_left(folder: LogsFolder) -> None:
    assert read_openmsistream(folder, os.path.dirname(folder.path), CHUNK, True) is None
    put_table(folder, "uploaded_to_T.csv", ",".join(CompletedRow._fields), "")
    put_table(folder, "upload_to_T_in_progress.csv", ",".join(InProgressRow._fields), "")
    assert read_openmsistream(folder, os.path.dirname(folder.path), CHUNK, True) is None


def test_what_was_completed_is_known_and_the_tables_are_kept(folder: LogsFolder) -> None:
    mtime_ns = put_file(folder, "sub/a", 10)
    put_file(folder, "b", 3)
    tables = [
        put_table(folder, "uploaded_to_T.csv", COMPLETED, completed_row("sub/a", 3)),
        put_table(folder, "uploaded_to_T_p7f1d16be9d10.csv", COMPLETED, completed_row("b", 1)),
        put_table(folder, "uploaded_to_T_p123_1732_55.csv", COMPLETED, completed_row("b", 1)),
    ]
    before = [table.read_bytes() for table in tables]
    ours = [
        Path(folder.path, f"uploaded_to_T{name}.csv") for name in ("~p0_3", "_p0_2")
    ]  # a new name and an old one
    for shard in ours:
        shard.write_bytes(format_table(CompletedRow, []).encode())
    found = run_import(folder)
    assert not any(Path(f"{shard}.bak").exists() for shard in ours)
    assert (len(found.completed), found.n_changed, found.since_ns) == (2, 0, None)
    first, second = sorted(known(folder))
    assert first.startswith("b,3,")
    times = f"{iso(NOW - timedelta(minutes=1))},{iso(NOW)}"
    assert second == f"sub/a,10,{mtime_ns},3,4,{NO_DIGEST},{times}"
    assert [Path(f"{table}.bak").read_bytes() for table in tables] == before
    assert not tables[1].exists()


@pytest.mark.parametrize(
    ("size", "changed", "n_chunks", "chunk_size"),
    [
        pytest.param(10, NOW - timedelta(days=1), 3, 4, id="unchanged"),
        pytest.param(10, NOW + timedelta(seconds=0.9), 3, 4, id="within the second that the table tells"),
        pytest.param(10, NOW + timedelta(seconds=1), 3, None, id="changed afterwards"),
        pytest.param(10, NOW - timedelta(days=1), 2, 8, id="of another chunk size"),
        pytest.param(10, NOW - timedelta(days=1), 4, None, id="of no chunk size"),
        pytest.param(0, NOW - timedelta(days=1), 1, 4, id="empty"),
        pytest.param(None, NOW, 1, None, id="gone"),
    ],
)
def test_a_file_that_changed_since_is_not_known(
    folder: LogsFolder, size: int | None, changed: datetime, n_chunks: int, chunk_size: int | None
) -> None:
    if size is not None:
        put_file(folder, "a", size, changed)
    put_table(folder, "uploaded_to_T.csv", COMPLETED, completed_row("a", n_chunks))
    found = run_import(folder)
    assert [row.chunk_size for row in found.completed] == ([chunk_size] if chunk_size else [])
    assert found.n_changed == (0 if chunk_size else 1)


def test_the_latest_of_several_rows_of_a_file_counts(folder: LogsFolder) -> None:
    put_file(folder, "a", 10, NOW + timedelta(hours=1))
    rows = [completed_row("a", 3, NOW + timedelta(hours=hours)) for hours in (0, 2, 1)]
    put_table(folder, "uploaded_to_T_pff.csv", COMPLETED, *rows)
    assert len(run_import(folder).completed) == 1


@pytest.mark.parametrize(
    ("size", "changed", "keep", "chunks", "note"),
    [
        pytest.param(10, NOW, True, "1 3", "", id="goes on"),
        pytest.param(10, NOW + timedelta(seconds=1), True, "1-3", "changed", id="changed since"),
        pytest.param(13, NOW, True, "1-4", "in 3 chunks, and --chunk_size is 4", id="other number of chunks"),
        pytest.param(10, NOW, False, "1-3", "in dfud's own", id="other messages"),
    ],
)
def test_what_was_in_progress_is_continued(
    folder: LogsFolder, size: int, changed: datetime, keep: bool, chunks: str, note: str
) -> None:
    mtime_ns = put_file(folder, "a", size, changed)
    table = put_table(folder, "upload_to_T_in_progress.csv", IN_PROGRESS, left_row("a", 3, {2}))
    before = table.read_bytes()
    found = run_import(folder, keep)
    [row] = left(folder)
    assert (row.rel_filepath, row.size, row.mtime_ns, row.chunk_size) == ("a", size, mtime_ns, CHUNK)
    assert (row.chunks_to_send, row.started) == (chunks, iso(NOW))
    assert found.since_ns == int(NOW.timestamp()) * 10**9
    assert [note in text for text in found.warnings] == ([True] if note else [])
    assert Path(f"{table}.bak").read_bytes() == before


def test_a_file_that_no_longer_exists_is_reported_and_skipped(folder: LogsFolder) -> None:
    put_table(folder, "upload_to_T_in_progress.csv", IN_PROGRESS, left_row("a", 3, {2}))
    assert "no longer exists" in run_import(folder).warnings[0]
    assert left(folder) == []


def test_a_file_in_both_tables_is_finished(folder: LogsFolder) -> None:
    put_file(folder, "a", 10)
    put_table(folder, "upload_to_T_in_progress.csv", IN_PROGRESS, left_row("a", 3, {1, 2}))
    put_table(folder, "uploaded_to_T_pff.csv", COMPLETED, completed_row("a", 3))
    run_import(folder)
    assert left(folder) == []
    assert len(known(folder)) == 1


def test_rows_that_cannot_be_understood_are_saved_and_returned(folder: LogsFolder) -> None:
    put_file(folder, "b", 3)
    table = put_table(folder, "uploaded_to_T.csv", COMPLETED, "'a';os.system('true');1;x;y", completed_row("b", 1))
    found = run_import(folder)
    assert [row.row.number for row in found.rejected] == [2]
    assert Path(f"{table}.bad").read_text() == "'a';os.system('true');1;x;y\n"
    assert len(found.completed) == 1


def test_the_tables_of_another_topic_are_left_alone(folder: LogsFolder) -> None:
    other = put_table(folder, "uploaded_to_T_p1.csv", COMPLETED, completed_row("a", 1))
    put_table(folder, "upload_to_T_p1_in_progress.csv", IN_PROGRESS)
    third = put_table(folder, "uploaded_to_T2.csv", COMPLETED, completed_row("a", 1))
    assert read_openmsistream(folder, os.path.dirname(folder.path), CHUNK, True) is None
    assert other.exists()
    assert third.exists()


@pytest.mark.parametrize("stop_at", range(7))
def test_a_crash_between_two_steps_is_harmless(
    folder: LogsFolder, monkeypatch: pytest.MonkeyPatch, stop_at: int
) -> None:
    put_file(folder, "a", 10)
    put_file(folder, "b", 3)
    put_table(folder, "uploaded_to_T.csv", COMPLETED, completed_row("b", 1))
    put_table(folder, "uploaded_to_T_pff.csv", COMPLETED, completed_row("b", 1))
    put_table(folder, "upload_to_T_in_progress.csv", IN_PROGRESS, left_row("a", 3, {2}))
    steps = iter(range(100))

    def failing(where: Any, name: str) -> None:
        original = getattr(where, name)

        def step(*args: Any) -> Any:
            if next(steps) == stop_at:
                raise OSError("crash")
            return original(*args)

        monkeypatch.setattr(where, name, step)

    failing(OpenFolder, "replace")
    failing(OpenFolder, "unlink")
    failing(takeover, "write_in_progress_table")
    found = read_openmsistream(folder, os.path.dirname(folder.path), CHUNK, True)
    assert found is not None
    with pytest.raises(OSError, match="crash"):
        import_openmsistream(folder, found)
    monkeypatch.undo()
    run_import(folder)
    assert len(known(folder)) == 1
    assert [row.chunks_to_send for row in left(folder)] == ["1 3"]
    assert sorted(path.name for path in Path(folder.path).glob("*.bak*")) == [
        "upload_to_T_in_progress.csv.bak",
        "uploaded_to_T.csv.bak",
        "uploaded_to_T_pff.csv.bak",
    ]


def test_a_second_import_keeps_the_first_originals(folder: LogsFolder) -> None:
    put_file(folder, "a", 10)
    for n_chunks in (3, 1):
        put_table(folder, "uploaded_to_T_pff.csv", COMPLETED, completed_row("a", n_chunks))
        run_import(folder)
    backups = sorted(Path(folder.path).glob("*.bak*"))
    assert [path.name for path in backups] == ["uploaded_to_T_pff.csv.bak", "uploaded_to_T_pff.csv.bak2"]
    assert [";3;" in path.read_text() for path in backups] == [True, False]


def test_nothing_outside_of_the_directory_is_looked_at(tmp_path: Path) -> None:
    (tmp_path / "top" / "LOGS").mkdir(parents=True)
    folder = LogsFolder(str(tmp_path / "top"), "T")
    (tmp_path / "secret").write_bytes(bytes(8))
    (tmp_path / "top" / "link").symlink_to("../secret")
    (tmp_path / "top" / "folder").symlink_to("..")
    put_table(folder, "uploaded_to_T.csv", COMPLETED, *(
        f"'{name}';'{name}';2;{when(NOW)};{when(NOW + timedelta(days=9999))}" for name in ("link", "folder/secret")
    ))  # fmt: skip
    state = read_openmsistream(folder, folder.directory, CHUNK, keep_chunks=True)
    assert state is not None
    assert (state.completed, state.n_changed) == ([], 2)
