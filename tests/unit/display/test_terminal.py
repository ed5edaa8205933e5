"""Which terminals can show what goes on, and how."""

from __future__ import annotations

import os
import pty
from collections.abc import Iterator

import pytest

from dfud.display.terminal import Look, Size, is_foreground, live_look, terminal_size


@pytest.fixture
def terminal() -> Iterator[int]:
    master, slave = pty.openpty()
    yield slave
    os.close(master)
    os.close(slave)


@pytest.mark.parametrize(
    ("environment", "look"),
    [
        ({"TERM": "xterm", "LANG": "de_DE.UTF-8"}, Look(True, True)),
        ({"TERM": "xterm", "LANG": "en_US.utf8", "NO_COLOR": "1"}, Look(False, True)),
        ({"TERM": "xterm", "LANG": "C.UTF-8", "NO_COLOR": ""}, Look(True, True)),
        ({"TERM": "xterm", "LANG": "C.UTF-8", "LC_ALL": "C"}, Look(True, False)),
        ({"TERM": "xterm", "LANG": "C.UTF-8", "LC_CTYPE": "de_DE.ISO-8859-1"}, Look(True, False)),
        ({"TERM": "xterm"}, Look(True, False)),
        ({"TERM": "dumb", "LANG": "C.UTF-8"}, None),
        ({"LANG": "C.UTF-8"}, None),
    ],
)
def test_what_the_environment_says(terminal: int, environment: dict[str, str], look: Look | None) -> None:
    assert live_look(terminal, environment) == look


def test_what_is_no_terminal_shows_nothing() -> None:
    reader, writer = os.pipe()
    assert live_look(writer, {"TERM": "xterm", "LANG": "C.UTF-8"}) is None
    assert terminal_size(writer) == Size(80, 24)
    assert not is_foreground(writer)
    os.close(reader)
    os.close(writer)


def test_a_terminal_of_another_session_is_not_ours(terminal: int) -> None:
    assert terminal_size(terminal) == Size(80, 24)
    assert not is_foreground(terminal)
