"""A home in which the blocks of a page are run, with a real Kafka."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient

from dfud.broker import client_config
from dfud.broker.node import KafkaNode
from tests.helpers.shells import Terminal
from tests.howto.page import Open, Run

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def home(tmp_path: Path, kafka: KafkaNode) -> Iterator[Path]:
    """An empty home with a configuration file; the topics that a page makes are deleted."""
    folder = tmp_path / "home"
    folder.mkdir()
    client_config.write(folder / "kafka.config", kafka.bootstrap)
    yield folder
    admin = AdminClient({"bootstrap.servers": kafka.internal_bootstrap})
    topics = [name for name in admin.list_topics(timeout=30).topics if not name.startswith("__")]
    if topics:
        for deleted in admin.delete_topics(topics).values():
            deleted.result(30)


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """A folder with dfud and python3, which is the first of PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name, command in (
        ("dfud", "-m dfud"), ("DataFileUploadDirectory", "-m dfud upload"), ("python3", ""),
    ):  # fmt: skip
        path = folder / name
        path.write_text(f'#!/bin/sh\nPYTHONPATH={shlex.quote(str(ROOT))} exec {sys.executable} {command} "$@"\n')
        path.chmod(0o755)
    return folder


@pytest.fixture
def terminal(home: Path, programs: Path) -> Iterator[Open]:
    """A function that runs a block of commands in a new terminal, at home; keywords are its environment."""
    own = {"HOME": str(home), "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}", "LANG": "C.UTF-8"}
    with ExitStack() as stack:

        def start(block: str, **environment: str) -> Terminal:
            opened = Terminal(block, home, {**own, **environment})
            stack.callback(opened.kill)
            return opened

        yield start


@pytest.fixture
def run(terminal: Open) -> Run:
    """A function that runs a block to its end; it returns the lines, and checks the exit status."""

    def run(block: str, status: int = 0, **environment: str) -> list[str]:
        opened = terminal(block, **environment)
        assert opened.end() == status, opened.lines
        return opened.lines

    return run


@pytest.fixture
def uploaded(home: Path, run: Run) -> Path:
    """The Quick start's file, uploaded by its commands."""
    run(
        'mkdir run42; echo "first light" > run42/image.txt\n'
        "dfud upload run42 --config kafka.config --topic_name run42 --once"
    )
    return home / "run42"
