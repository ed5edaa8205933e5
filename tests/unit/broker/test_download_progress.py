"""What is said of a download while it runs."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from dfud.broker.download_progress import DownloadProgress
from dfud.display.activity import Activity, Describe


def test_it_says_how_far_a_download_is(tmp_path: Path) -> None:
    progress = DownloadProgress(tmp_path / "new", lambda _: None)
    assert progress.line() == "  looking up what is needed: 0 descriptions read"
    (tmp_path / "new" / "org").mkdir(parents=True)
    (tmp_path / "new" / "org" / "a.pom").touch()
    assert progress.line() == "  looking up what is needed: 1 description read"
    progress.on_resolved(2)
    (tmp_path / "new" / "org" / "a.jar").write_bytes(b"x" * 1_600_000)
    assert progress.line() == "  1 of 2 jars, 2 MB"


def test_it_says_so_again_and_again_and_at_the_end(tmp_path: Path) -> None:
    lines: list[str] = []
    said_twice = threading.Event()

    def announce(line: str) -> None:
        lines.append(line)
        if len(lines) == 2:
            said_twice.set()

    with DownloadProgress(tmp_path, announce, interval_s=0.001) as progress:
        assert said_twice.wait(30)
        progress.on_resolved(0)
    assert lines[-1] == "  0 of 0 jars, 0 MB, in 0 s"
    assert threading.active_count() == 1


def test_a_failure_ends_it_without_a_word(tmp_path: Path) -> None:
    lines: list[str] = []
    with pytest.raises(KeyError), DownloadProgress(tmp_path, lines.append):
        raise KeyError
    assert lines == []
    assert threading.active_count() == 1


class FakeNarrator:
    """A terminal that shows what goes on."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.shown: list[Activity] = []
        self.was_shown = threading.Event()
        self._describe: Describe | None = None

    def __call__(self, line: str) -> None:
        assert self._describe is None, "the line would be overwritten"
        self.lines.append(line)

    def show(self, describe: Describe) -> bool:
        self._describe = describe
        return True

    def turn(self) -> None:
        assert self._describe is not None
        self.shown.append(self._describe(100.0 * len(self.shown)))
        self.was_shown.set()

    def clear(self) -> None:
        self._describe = None


def test_a_terminal_shows_it_all_the_time(tmp_path: Path) -> None:
    (tmp_path / "a.jar").write_bytes(b"x" * 1_600_000)
    narrator = FakeNarrator()
    with DownloadProgress(tmp_path, narrator) as progress:
        progress.on_resolved(2)
        assert narrator.was_shown.wait(30)
    assert narrator.lines == ["  1 of 2 jars, 2 MB, in 0 s"]
    assert narrator.shown[0].share == 0.5
    assert narrator.shown[0].amount == "1 of 2 jars"
    assert narrator.shown[0].facts[0].text == "1.6 MB downloaded"
