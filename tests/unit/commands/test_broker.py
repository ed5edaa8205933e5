"""How the next command names dfud."""

from __future__ import annotations

from pathlib import Path

import pytest

from dfud.commands import broker as module
from dfud.commands.broker import program_words
from dfud.service.program import Program


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The running dfud, in an environment that is neither activated nor on the path."""
    path = tmp_path / "environment" / "bin" / "dfud"
    path.parent.mkdir(parents=True)
    path.touch(0o755)
    monkeypatch.setattr(module, "own_program", lambda: Program((str(path),), ()))
    monkeypatch.setenv("PATH", str(tmp_path / "local"))
    monkeypatch.delenv("VIRTUAL_ENV", raising=False)
    return path


def test_what_is_not_on_the_path_is_named_by_its_path(script: Path) -> None:
    assert program_words() == (str(script),)


def test_what_pipx_has_put_on_the_path_is_named(script: Path, tmp_path: Path) -> None:
    (tmp_path / "local").mkdir()
    (tmp_path / "local" / "dfud").symlink_to(script)
    assert program_words() == ("dfud",)


def test_what_is_on_the_path_of_this_terminal_alone_is_named_by_its_path(
    script: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(script.parent))
    monkeypatch.setenv("VIRTUAL_ENV", str(script.parent.parent))
    assert program_words() == (str(script),)


def test_another_dfud_on_the_path_is_not_meant(script: Path, tmp_path: Path) -> None:
    (tmp_path / "local").mkdir()
    (tmp_path / "local" / "dfud").touch(0o755)
    assert program_words() == (str(script),)
