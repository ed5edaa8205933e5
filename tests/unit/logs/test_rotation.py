"""A log file that is bounded, although several processes write to it, and whatever strangers put beside it."""

from __future__ import annotations

import fcntl
import logging
import multiprocessing
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dfud.files.open_folder import OpenFolder
from dfud.logs.log_files import ChosenFile, FileInLogs, LogFile
from dfud.logs.logfile import LogFileHandler
from dfud.logs.rotation import Bounds

MAX_BYTES = 2_000

Write = Callable[..., None]


@pytest.fixture
def folder(tmp_path: Path) -> OpenFolder:
    logs = OpenFolder(str(tmp_path), "LOGS")
    logs.make()
    return logs


@pytest.fixture
def handlers() -> Iterator[list[LogFileHandler]]:
    made: list[LogFileHandler] = []
    yield made
    for handler in made:
        handler.close()


@pytest.fixture
def reports() -> list[str]:
    return []


@pytest.fixture
def now() -> list[float]:
    """The clock of that handler."""
    return [100.0]


@pytest.fixture
def write(folder: OpenFolder, handlers: list[LogFileHandler], reports: list[str], now: list[float]) -> Write:
    """Write lines of 50 bytes, by one handler, with the numbers from `first` to before `end`."""
    log_file = FileInLogs(folder, folder.file("the.log"))
    handler = LogFileHandler(log_file, reports.append, Bounds(MAX_BYTES, 3), lambda: now[0])
    handlers.append(handler)
    return lambda first, end: write_lines(handler, first, end)


def write_lines(handler: LogFileHandler, first: int, end: int) -> None:
    for number in range(first, end):
        handler.emit(logging.makeLogRecord({"msg": f"{number:015d}", "levelname": "INFO"}))


def numbers(*paths: Path) -> list[int]:
    return [int(line.split()[-1]) for path in paths for line in path.read_text().splitlines()]


def test_a_full_file_is_renamed_and_the_oldest_dropped(folder: OpenFolder, write: Write) -> None:
    write(0, 130)
    names = sorted(folder.names())
    assert names == ["the.1.log", "the.2.log", "the.log"]
    logs = Path(folder.path)
    assert numbers(logs / "the.2.log", logs / "the.1.log", logs / "the.log") == list(range(40, 130))


def test_one_file_begins_anew(tmp_path: Path, handlers: list[LogFileHandler], reports: list[str]) -> None:
    handlers.append(LogFileHandler(ChosenFile(str(tmp_path / "log")), reports.append, Bounds(MAX_BYTES, 1)))
    write_lines(handlers[0], 0, 50)
    assert [path.name for path in tmp_path.iterdir()] == ["log"]
    assert numbers(tmp_path / "log") == list(range(40, 50))


def test_processes_that_share_a_file_lose_no_line_and_rename_it_once(folder: OpenFolder) -> None:
    def write_some(first: int) -> None:
        log_file: LogFile = FileInLogs(folder, folder.file("the.log"))
        write_lines(LogFileHandler(log_file, print, Bounds(MAX_BYTES, 1000)), first, first + 500)

    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=write_some, args=(1000 * number,)) for number in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    paths = list(Path(folder.path).iterdir())
    assert sorted(numbers(*paths)) == [1000 * number + line for number in range(4) for line in range(500)]
    assert all(path.stat().st_size >= MAX_BYTES for path in paths if path.name != "the.log")


def test_what_a_crash_has_renamed_already_is_kept(folder: OpenFolder, write: Write) -> None:
    logs = Path(folder.path)
    (logs / "the.2.log").write_text("0\n")
    write(0, 41)
    assert numbers(logs / "the.2.log", logs / "the.1.log", logs / "the.log") == [0, *range(41)]


def test_who_keeps_it_locked_does_not_let_it_grow(folder: OpenFolder, write: Write, now: list[float]) -> None:
    write(0, 1)
    path = Path(folder.path) / "the.log"
    with path.open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        write(1, 100)
        assert numbers(path) == list(range(100)), "another process may be about to rename it"
        now[0] += 11.0
        write(100, 101)
    assert numbers(path) == [100]
    assert (Path(folder.path) / "the.1.log").exists()


def test_nothing_outside_is_touched(folder: OpenFolder, write: Write, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("somebody else's")
    for name in ("the.1.log", "the.2.log"):
        (Path(folder.path) / name).symlink_to(outside)
    write(0, 130)
    assert outside.read_text() == "somebody else's"
    assert not any(path.is_symlink() for path in Path(folder.path).iterdir())


def test_what_cannot_be_renamed_is_written_on(folder: OpenFolder, write: Write, reports: list[str]) -> None:
    for name in ("the.1.log", "the.2.log"):
        os.makedirs(os.path.join(folder.path, name, "folder"))
    write(0, 60)
    assert numbers(Path(folder.path) / "the.log") == list(range(60))
    assert reports == [
        f"WARNING: cannot rename {folder.path}/the.log, which is full: Directory not empty; writing on into it"
    ]


def test_the_file_that_a_link_leads_to_is_renamed(
    tmp_path: Path, handlers: list[LogFileHandler], reports: list[str]
) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real/log")
    handlers.append(LogFileHandler(ChosenFile(str(tmp_path / "link")), reports.append, Bounds(MAX_BYTES, 2)))
    write_lines(handlers[0], 0, 41)
    assert sorted(os.listdir(tmp_path / "real")) == ["log", "log.1"]
    assert (tmp_path / "link").is_symlink()
    assert reports == []
