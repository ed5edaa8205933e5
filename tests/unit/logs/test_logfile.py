"""The log on the console and in its file."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dfud.errors import UsageError
from dfud.files.open_folder import OpenFolder
from dfud.logs.log_files import FileInLogs
from dfud.logs.log_lines import JSON, about
from dfud.logs.logfile import LogOptions, open_log, reopen_log

OPTIONS = LogOptions(logging.INFO, logging.INFO)
TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}[+-]\d\d:\d\d"

MakeLog = Callable[..., logging.Logger]


class Lines:
    """A console of the test's."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.is_journal = False
        self.write_line = self.lines.append


@pytest.fixture
def console() -> Lines:
    return Lines()


@pytest.fixture
def make(tmp_path: Path, console: Lines) -> Iterator[MakeLog]:
    """A maker of logs of a directory beside the files that are chosen."""
    made: list[logging.Logger] = []
    directory = tmp_path / "data"
    directory.mkdir()
    logs = OpenFolder(str(directory), "LOGS")
    logs.make()

    def make(path: Path | str | None, options: LogOptions = OPTIONS) -> logging.Logger:
        options = options._replace(file_path=None if path is None else str(path))
        default = FileInLogs(logs, logs.file("the.log"))
        made.append(open_log(console, options, default, str(directory), {"topic": "T"}))
        return made[-1]

    yield make
    for log in made:
        for handler in log.handlers:
            try:
                handler.close()
            except OSError:  # the full disk
                continue


def test_a_line_goes_to_the_console_and_with_its_time_to_the_file(
    tmp_path: Path, make: MakeLog, console: Lines
) -> None:
    log = make(tmp_path / "log")
    log.info("as %s", "usual")
    log.warning("strange")
    assert console.lines == ["as usual", "WARNING: strange"]
    first, second = (tmp_path / "log").read_text().splitlines()
    assert re.fullmatch(rf"{TIME} INFO as usual", first)
    assert second.endswith(" WARNING strange")


def test_each_has_its_own_level(tmp_path: Path, make: MakeLog, console: Lines) -> None:
    log = make(tmp_path / "log", LogOptions(logging.ERROR, logging.INFO))
    log.info("small")
    log.error("big")
    assert console.lines == ["ERROR: big"]
    assert len((tmp_path / "log").read_text().splitlines()) == 2
    assert not log.isEnabledFor(logging.DEBUG), "what nobody wants costs nothing"


def test_a_log_goes_on_where_it_ended(tmp_path: Path, make: MakeLog) -> None:
    make(tmp_path / "log").info("first")
    make(tmp_path / "log").info("second")
    assert len((tmp_path / "log").read_text().splitlines()) == 2


def test_bytes_that_are_not_utf_8_are_shown(tmp_path: Path, make: MakeLog) -> None:
    make(tmp_path / "log").info("a\udcff")
    assert (tmp_path / "log").read_text().endswith(" a\\xff\n")


def test_json_has_what_is_known_as_fields(tmp_path: Path, make: MakeLog, console: Lines) -> None:
    log = make(tmp_path / "log", OPTIONS._replace(format=JSON))
    log.error("not\n\x85delivered", extra=about(b"a/\xff", "3/17", "too large"))
    log.info("as usual")
    first, second = map(json.loads, (tmp_path / "log").read_text().splitlines())
    assert re.fullmatch(TIME, first.pop("time"))
    assert first == {
        "level": "error",
        "message": "not\n\\x85delivered",
        "topic": "T",
        "file": "a/\\xff",
        "chunk": "3/17",
        "cause": "too large",
    }
    assert second.keys() == {"time", "level", "message", "topic"}
    assert [json.loads(line)["level"] for line in console.lines] == ["error", "info"]


def test_the_journal_gets_a_priority_for_each_line(tmp_path: Path, make: MakeLog, console: Lines) -> None:
    console.is_journal = True
    log = make(tmp_path / "log", LogOptions(logging.DEBUG, logging.INFO))
    for level in (logging.DEBUG, logging.INFO, logging.WARNING, logging.CRITICAL):
        log.log(level, "x")
    log.error("two\nlines")
    assert console.lines == ["<7>x", "<6>x", "<4>WARNING: x", "<2>CRITICAL: x", "<3>ERROR: two\n<3>lines"]


def test_a_full_disk_is_reported_once_and_stops_nothing(make: MakeLog, console: Lines) -> None:
    log = make("/dev/full")
    for number in range(1000):
        log.info("line %d", number)
    warnings = [line for line in console.lines if line.startswith("WARNING")]
    assert warnings == ["WARNING: cannot write /dev/full: No space left on device"]
    assert len(console.lines) == 1001


def test_what_could_not_be_written_is_counted(tmp_path: Path, make: MakeLog, console: Lines) -> None:
    path = tmp_path / "log"
    path.symlink_to("/dev/full")
    log = make(path)
    log.info("lost")
    log.info("lost")
    path.unlink()
    log.info("written")
    first, second = path.read_text().splitlines()
    assert first.endswith(" WARNING 2 lines could not be written here")
    assert second.endswith(" INFO written")
    path.unlink()
    path.symlink_to("/dev/full")
    log.info("lost again")
    assert sum(line.startswith("WARNING: cannot write") for line in console.lines) == 2


def test_a_file_that_cannot_be_opened_is_an_error(tmp_path: Path, make: MakeLog) -> None:
    with pytest.raises(UsageError, match=r"no/log: No such file or directory; see --logger_file_path"):
        make(tmp_path / "no" / "log")


@pytest.mark.parametrize("chosen", ["log", "data/sub.log", None])
def test_a_file_that_is_moved_away_or_removed_is_made_again(
    tmp_path: Path, make: MakeLog, chosen: str | None
) -> None:
    path = tmp_path / (chosen or "data/LOGS/the.log")
    log = make(chosen and path)
    log.info("first")
    path.rename(tmp_path / "moved")
    log.info("second")
    path.unlink()
    log.info("third")
    assert (tmp_path / "moved").read_text().endswith(" first\n")
    assert path.read_text().endswith(" third\n")
    path.unlink()
    reopen_log(log)
    assert path.read_text().endswith(" log file opened again\n")


def test_a_chosen_file_may_be_a_link_but_not_below_the_directory(
    tmp_path: Path, make: MakeLog, console: Lines
) -> None:
    directory, outside = tmp_path / "data", tmp_path / "outside"
    (directory / "sub").mkdir(parents=True)
    outside.write_text("somebody else's\n")
    (tmp_path / "link").symlink_to("outside")
    make(tmp_path / "link").info("followed")
    content = outside.read_text()
    assert content.endswith(" followed\n")
    (directory / "sub" / "log").symlink_to(outside)
    (directory / "folder").symlink_to(tmp_path)
    for name in ("sub/log", "folder/outside"):
        with pytest.raises(UsageError, match=rf"^cannot open {directory}/{name}: .* link"):
            make(directory / name)
    log = make(directory / "sub" / "log2")
    (directory / "sub" / "log2").unlink()
    (directory / "sub" / "log2").symlink_to(outside)
    log.info("replaced")
    assert console.lines[-1].startswith(f"WARNING: cannot write {directory}/sub/log2: it is a link")
    assert outside.read_text() == content
