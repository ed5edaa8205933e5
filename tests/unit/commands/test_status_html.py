"""``dfud status --html``: what it reads, where it writes, and what it refuses."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import datetime, timezone
from pathlib import Path

import pytest
from sample_logs import TOPIC, write_sample

from dfud.commands.main import main
from dfud.logs.in_progress_table import write_in_progress_table
from dfud.logs.layout import LogsFolder
from tests.helpers.folders import take_lock
from tests.helpers.parsed_pages import ParsedPage


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A directory that is uploaded, with 50 completed files."""
    directory = tmp_path / "data"
    write_sample(directory, 50, datetime.now(timezone.utc))
    return directory


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    """Run the command; return its exit status, output and errors."""
    with pytest.raises(SystemExit) as ended:
        main(["status", *map(str, arguments)])
    assert isinstance(ended.value.code, int)
    return (ended.value.code, *capsys.readouterr())


def test_the_page_of_a_run_at_work(directory: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lock = take_lock(LogsFolder(str(directory), TOPIC).lock)
    page = tmp_path / "page.html"
    assert run(capsys, directory, "--html", page) == (0, "", "")
    lock.close()
    said = ParsedPage(page.read_text("utf-8")).text
    assert f"Upload of {directory}" in said
    assert "critical:broker unreachable for 4 min" in said
    assert "Completed50 files" in said
    assert said.count("image_00000") == 50
    assert page.stat().st_mode & 0o777 == 0o644
    assert sorted(os.listdir(tmp_path)) == ["data", "page.html"], "no temporary file is left"


def test_all_topics_or_one(directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_in_progress_table(LogsFolder(str(directory), "other"), [])
    both, one = (
        ParsedPage(run(capsys, directory, "--html", "-", *arguments)[1])
        for arguments in ((), ("--topic_name", "other"))
    )
    assert len(both.all("section")) == len(both.all("a")) == 2
    assert len(one.all("section")) == 1
    assert "image_" not in one.text


def test_after_an_orderly_end_nothing_is_critical(directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status = Path(LogsFolder(str(directory), TOPIC).status)
    text = status.read_text().replace('"running"', '"ended"').replace('"exit_status": null', '"exit_status": 0')
    failures = text[text.index('"failures": {') : text.index('"watch"')]
    status.write_text(text.replace(failures, ""))
    said = ParsedPage(run(capsys, directory, "--html", "-")[1]).text
    assert "ok:ended in order" in said
    assert "critical" not in said


def test_logs_elsewhere(directory: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    state = tmp_path / "state"
    state.mkdir()
    (directory / "LOGS").rename(state / "LOGS")
    (state / "LOGS" / ".directory").write_text(str(directory))
    page = state / "LOGS" / "page.html"
    assert run(capsys, directory, "--state_dir", state, "--html", page) == (0, "", "")
    assert f"Upload of {directory}" in ParsedPage(page.read_text("utf-8")).text


def test_nothing_uploaded_yet_is_a_page_as_well(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "LOGS").mkdir()
    assert "Nothing has been uploaded from here yet." in run(capsys, tmp_path, "--html", "-")[1]


@pytest.mark.parametrize("plant", [os.symlink, os.link])
def test_a_link_that_was_planted_is_replaced(
    plant: object, directory: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert callable(plant)
    victim, page = tmp_path / "victim", tmp_path / "page.html"
    victim.write_text("precious")
    plant(victim, page)
    assert run(capsys, directory, "--html", page)[0] == 0
    assert victim.read_text() == "precious"
    assert not page.is_symlink()
    assert page.read_text("utf-8").startswith("<!DOCTYPE html>")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param(["--html", "data/page.html"], "lies in the directory that is uploaded", id="in DIR"),
        pytest.param(["--html", "link/page.html"], "lies in the directory that is uploaded", id="by a link"),
        pytest.param(["--html", "data/LOGS/table.csv"], "its name must end in .html", id="not a page"),
        pytest.param(["--html", "--watch"], "its name must end in .html", id="an option"),
        pytest.param(["--html", "nowhere/page.html"], "its folder must exist", id="no folder"),
        pytest.param(["--html", "folder.html"], "it is a folder", id="a folder"),
        pytest.param(["--html", "-", "--watch"], "name a file to use it with --watch", id="watch"),
        pytest.param(["--html", "-", "--check"], "use it without --check and --json", id="check"),
        pytest.param(["--html", "-", "--json"], "use it without --check and --json", id="json"),
    ],
)
def test_what_cannot_be_is_refused(
    arguments: list[str],
    message: str,
    directory: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(directory.parent)
    Path("link").symlink_to(directory)
    Path("folder.html").mkdir()
    status, out, err = run(capsys, "data", *arguments)
    assert (status, out) == (2, "")
    (line,) = err.splitlines()
    assert message in line
    assert not list(directory.glob("*.html"))


def test_a_page_that_is_watched_is_made_again(directory: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    words = [
        sys.executable,
        "-m",
        "dfud",
        "status",
        str(directory),
        "--html",
        str(page),
        "--watch",
        "--interval",
        "0",
    ]
    with subprocess.Popen(words, stderr=subprocess.PIPE) as watch:
        assert watch.stderr is not None
        seen: set[int] = set()
        while len(seen) < 2:
            assert watch.poll() is None
            if page.exists():
                seen.add(page.stat().st_ino)
                assert page.read_text("utf-8").endswith("</html>\n"), "each reader finds a whole page"
        watch.send_signal(2)
        assert watch.stderr.read() == b""
    assert watch.returncode == 0
    assert 'http-equiv="refresh" content="1"' in page.read_text("utf-8")
