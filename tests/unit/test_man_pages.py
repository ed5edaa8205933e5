"""The man pages that ``scripts/man`` writes: one for each command, whole, and without an error."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest

from dfud.commands.main import COMMANDS, load

ROOT = Path(__file__).resolve().parents[2]
WAIT_S = 60


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the pages."""
    folder = tmp_path_factory.mktemp("man") / "man1"
    subprocess.run(
        [sys.executable, ROOT / "scripts" / "man_pages.py", folder],
        env={**os.environ, "PYTHONPATH": str(ROOT), "SOURCE_DATE_EPOCH": "0"},
        stdout=subprocess.DEVNULL,
        timeout=WAIT_S,
        check=True,
    )
    return folder


def shown(page: Path) -> str:
    """Return a page as text, in which words are neither bold nor hyphenated."""
    if shutil.which("groff") is None:
        pytest.skip("there is no groff")
    words = ["groff", "-man", "-ww", "-Tascii", "-P-cbou", "-rLL=200n", "-rHY=0", page.name]
    done = subprocess.run(words, cwd=page.parent, capture_output=True, text=True, timeout=WAIT_S, check=True)
    assert done.stderr == ""
    return done.stdout


def test_there_is_a_page_for_each_command(pages: Path) -> None:
    names = {path.name for path in pages.iterdir()}
    groups = {f"dfud-service-{name}.1" for name in ("install", "remove", "status")}
    aliases = {"DataFileUploadDirectory.1", "DataFileDownloadDirectory.1"}
    assert names == {"dfud.1", *(f"dfud-{name}.1" for name in COMMANDS)} | groups | aliases
    assert (pages / "DataFileUploadDirectory.1").read_text() == ".so man1/dfud-upload.1\n"


@pytest.mark.parametrize("command", COMMANDS)
def test_a_page_has_all_of_the_help(pages: Path, command: str) -> None:
    text = shown(pages / f"dfud-{command}.1")
    assert "1970-01-01" in text
    for parameter in load(command).params:
        if isinstance(parameter, click.Option) and not parameter.hidden:
            assert re.search(rf"^ +(-\w, )?{parameter.opts[0]}\b", text, re.MULTILINE), parameter.opts[0]
    for example in load(command).examples:  # type: ignore[attr-defined]
        assert f" dfud {command} {example.arguments}".rstrip() in text


def test_the_page_of_the_upload_says_what_a_script_has_to_know(pages: Path) -> None:
    text = shown(pages / "dfud-upload.1")
    assert "dfud-upload, DataFileUploadDirectory - Upload the files" in text
    statuses = text.partition("EXIT STATUS\n")[2].partition("EXAMPLES")[0]
    assert re.findall(r"^ +(\d+) ", statuses, re.MULTILINE) == ["0", "1", "2", "75"]


def test_mandoc_finds_nothing_wrong(pages: Path) -> None:
    if shutil.which("mandoc") is None:
        pytest.skip("there is no mandoc")
    words = ["mandoc", "-T", "lint", "-W", "warning", *sorted(str(path) for path in pages.glob("dfud*.1"))]
    done = subprocess.run(words, capture_output=True, text=True, timeout=WAIT_S, check=False)
    assert done.stdout + done.stderr == ""
