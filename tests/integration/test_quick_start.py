"""The README's Quick start, word for word: in a home where nothing is, with what its installation makes."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from dfud.broker import jars
from tests.helpers.shells import Terminal
from tests.helpers.wheels import ROOT, DownloadError, wheels

README = (ROOT / "README.md").read_text(encoding="utf-8")
NEEDED = ("README.md", "LICENSE", "pyproject.toml", "setup.cfg", "setup.py")


def commands(title: str) -> list[str]:
    """Return the blocks of shell commands of a section of the README."""
    section = README.partition(f"\n## {title}\n")[2].partition("\n## ")[0]
    return re.findall(r"^```sh\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)


BY_PIPX, BY_UV, BY_VENV = commands("Install")
BROKER, UPLOAD, READ, OWN_KAFKA = commands("Quick start")
ACTIVATE = ". ~/dfud-venv/bin/activate\n"


Open = Callable[[str], Terminal]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home with a checkout and nothing else."""
    home = tmp_path / "home"
    checkout = home / "checkout"
    shutil.copytree(ROOT / "dfud", checkout / "dfud", ignore=shutil.ignore_patterns("__pycache__"))
    for name in NEEDED:
        shutil.copy(ROOT / name, checkout)
    return home


@pytest.fixture
def terminal(tmp_path: Path, home: Path) -> Iterator[Open]:
    """A function that runs a block of commands in a new terminal, in the checkout."""
    try:
        links = wheels()
    except DownloadError as error:
        pytest.skip(f"no wheels: {error}")
    python = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python3").symlink_to(Path(sys.base_prefix) / "bin" / python)
    environment = {
        "HOME": str(home),
        "PATH": f"{tmp_path / 'bin'}{os.pathsep}{os.defpath}",
        "LANG": "C.UTF-8",
        # What has been downloaded before is not downloaded again.
        "XDG_CACHE_HOME": str(jars.cache_dir().parent),
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(links),
        "PIP_NO_COMPILE": "1",
    }
    with ExitStack() as stack:

        def start(block: str) -> Terminal:
            opened = Terminal(block, home / "checkout", environment)
            stack.callback(opened.kill)
            return opened

        yield start


def test_the_quick_start_does_what_it_says(terminal: Open, home: Path) -> None:
    assert ACTIVATE in BY_VENV
    installation = terminal(BY_VENV)
    assert installation.end() == 0, installation.lines

    broker = terminal(ACTIVATE + BROKER)
    broker.wait_for("^Stop it with Ctrl-C")
    start = broker.lines.index("Next, in another terminal:") + 2
    printed = [shlex.split(line) for line in broker.lines[start : broker.lines.index("", start)]]
    written = [shlex.split(line.replace("~", str(home))) for line in UPLOAD.splitlines()]
    assert printed[1][0] == str(home / "dfud-venv" / "bin" / "dfud")  # found also where nothing is activated
    printed[1][0] = "dfud"
    assert printed == written
    assert broker.lines[0] == "Starting Kafka"
    assert "Kafka listens on 127.0.0.1:" in broker.lines[1]

    upload = terminal(ACTIVATE + UPLOAD)
    upload.wait_for("watching 1 folder")
    write, *read = READ.splitlines(keepends=True)
    assert terminal(write).end() == 0
    upload.wait_for("image.txt: .* acknowledged")  # which is what takes a moment
    reading = terminal(ACTIVATE + "".join(read))
    assert reading.end() == 0, reading.lines
    assert reading.lines[-1] == "first light"
    assert upload.end("quit\n") == 0, upload.lines
    assert upload.lines[-1].endswith("all files detected are on the topic and recorded")
    assert broker.end(number=signal.SIGINT) in (0, -signal.SIGINT), broker.lines
    assert broker.lines[-1] == "Stopping Kafka"


def test_the_other_ways_to_install_name_the_same() -> None:
    package = BY_VENV.rpartition(" ")[2]
    assert f"pipx install {package}" == BY_PIPX
    assert f"uv tool install {package}" == BY_UV


def test_the_command_for_a_kafka_of_ones_own_names_the_same() -> None:
    name, command, directory, _, _, *topic = shlex.split(OWN_KAFKA)
    _, _, uploaded, _, _, *uploaded_topic = shlex.split(UPLOAD.splitlines()[1])
    assert (name, command, directory, topic) == ("dfud", "doctor", uploaded, uploaded_topic)
