"""The log on the console and in its file."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dfud.errors import UsageError
from dfud.files.open_folder import OpenFolder
from dfud.logs.logfile import ChosenFile, FileInLogs, make_log, open_log

MakeLog = Callable[..., logging.Logger]


@pytest.fixture
def lines() -> list[str]:
    return []


@pytest.fixture
def make(lines: list[str]) -> Iterator[MakeLog]:
    made: list[logging.Logger] = []

    def make(path: Path | str, stream: int = logging.INFO, file: int = logging.INFO) -> logging.Logger:
        made.append(make_log(lines.append, stream, ChosenFile(str(path)), file))
        return made[-1]

    yield make
    for log in made:
        for handler in log.handlers:
            try:
                handler.close()
            except OSError:  # the full disk
                continue


def test_a_line_goes_to_the_console_and_with_its_time_to_the_file(
    tmp_path: Path, make: MakeLog, lines: list[str]
) -> None:
    log = make(tmp_path / "log")
    log.info("as %s", "usual")
    log.warning("strange")
    assert lines == ["as usual", "WARNING: strange"]
    first, second = (tmp_path / "log").read_text().splitlines()
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} INFO as usual", first)
    assert second.endswith(" WARNING strange")


def test_each_has_its_own_level(tmp_path: Path, make: MakeLog, lines: list[str]) -> None:
    log = make(tmp_path / "log", logging.ERROR, logging.DEBUG)
    log.debug("small")
    log.error("big")
    assert lines == ["ERROR: big"]
    assert len((tmp_path / "log").read_text().splitlines()) == 2


def test_a_log_goes_on_where_it_ended(tmp_path: Path, make: MakeLog) -> None:
    make(tmp_path / "log").info("first")
    make(tmp_path / "log").info("second")
    assert len((tmp_path / "log").read_text().splitlines()) == 2


def test_bytes_that_are_not_utf_8_are_shown(tmp_path: Path, make: MakeLog) -> None:
    make(tmp_path / "log").info("a\udcff")
    assert (tmp_path / "log").read_text().endswith(" a\\xff\n")


def test_a_full_disk_is_reported_once_and_stops_nothing(make: MakeLog, lines: list[str]) -> None:
    log = make("/dev/full")
    for number in range(1000):
        log.info("line %d", number)
    warnings = [line for line in lines if line.startswith("WARNING")]
    assert warnings == ["WARNING: cannot write /dev/full: No space left on device"]
    assert len(lines) == 1001


def test_a_file_that_cannot_be_opened_is_an_error(tmp_path: Path, make: MakeLog) -> None:
    with pytest.raises(FileNotFoundError):
        make(tmp_path / "no" / "log")


def open_chosen(directory: Path, chosen: Path, lines: list[str]) -> logging.Logger:
    logs = OpenFolder(str(directory), "LOGS")
    logs.make()
    default = FileInLogs(logs, logs.file("log"))
    return open_log(lines.append, logging.INFO, str(chosen), default, logging.INFO, str(directory))


def test_a_chosen_file_may_be_a_link_but_not_below_the_directory(tmp_path: Path, lines: list[str]) -> None:
    directory, outside = tmp_path / "data", tmp_path / "outside"
    (directory / "sub").mkdir(parents=True)
    outside.write_text("somebody else's\n")
    (tmp_path / "link").symlink_to("outside")
    open_chosen(directory, tmp_path / "link", lines).info("followed")
    content = outside.read_text()
    assert content.endswith(" followed\n")
    (directory / "sub" / "log").symlink_to(outside)
    (directory / "folder").symlink_to(tmp_path)
    for name in ("sub/log", "folder/outside"):
        with pytest.raises(UsageError, match=rf"^cannot open {directory}/{name}: .* link"):
            open_chosen(directory, directory / name, lines)
    log = open_chosen(directory, directory / "sub" / "log2", lines)
    (directory / "sub" / "log2").unlink()
    (directory / "sub" / "log2").symlink_to(outside)
    log.info("replaced")
    assert lines[-1].startswith(f"WARNING: cannot write {directory}/sub/log2: it is a link")
    assert outside.read_text() == content
