"""Polling, with real folders and a clock of the test's."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dfud.core.names import DEFAULT_UPLOAD_REGEX, name_filter
from dfud.files.scan import WatchedTree
from dfud.watch.polling import PollingSource


class Polled:
    """A source that polls, one round at a time."""

    def __init__(self, top: Path, take_all: bool = True, since_ns: int = 0) -> None:
        self.now = 100.0
        self.tree = WatchedTree(os.fsencode(top), name_filter(DEFAULT_UPLOAD_REGEX), since_ns)
        self.source = PollingSource(self.tree, take_all, lambda: self.now)

    def round(self) -> set[str]:
        """Let the pause pass and return what the next round finds."""
        self.now += self.source.timeout(self.now) or 0
        self.source.process_events()
        assert self.source.timeout(self.now) is None  # nothing is waited for during a round
        return {os.fsdecode(file.version.path) for file in self.source.ready_files() if file}


@pytest.fixture
def unknown_writers(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel does not know who writes, as on NFS and CIFS (injected: there is neither here)."""
    monkeypatch.setattr("dfud.files.scan.is_being_written", lambda descriptor, closed_next: None)


def test_a_file_without_writers_is_ready_at_once(tmp_path: Path) -> None:
    polled = Polled(tmp_path)
    (tmp_path / "whole").write_bytes(b"x")
    with open(tmp_path / "slow", "wb"):
        assert polled.round() == {"whole"}
        assert polled.round() == set()
    assert polled.round() == {"slow"}
    assert polled.round() == set()
    (tmp_path / "whole").write_bytes(b"more")
    assert polled.round() == {"whole"}


@pytest.mark.usefixtures("unknown_writers")
def test_a_file_whose_writers_are_unknown_is_ready_when_it_has_not_changed_for_a_round(tmp_path: Path) -> None:
    polled = Polled(tmp_path)
    (tmp_path / "whole").write_bytes(b"x")
    grown = tmp_path / "grown"
    grown.write_bytes(b"1")
    assert polled.round() == set()
    grown.write_bytes(b"12")
    assert polled.round() == {"whole"}
    grown.write_bytes(b"123")
    (tmp_path / "gone").write_bytes(b"1")
    assert polled.round() == set()
    (tmp_path / "gone").unlink()
    assert polled.round() == {"grown"}
    assert polled.round() == set()


@pytest.mark.usefixtures("unknown_writers")
def test_old_files_are_ready_only_when_they_change(tmp_path: Path) -> None:
    (tmp_path / "old").write_bytes(b"x")
    polled = Polled(tmp_path, take_all=False, since_ns=2**62)
    for _ in range(3):
        assert polled.round() == set()
    (tmp_path / "old").write_bytes(b"changed")
    (tmp_path / "new").write_bytes(b"x")
    assert polled.round() == set()
    assert polled.round() == {"old", "new"}


def test_the_pause_is_a_second_or_twenty_times_the_round(tmp_path: Path) -> None:
    polled = Polled(tmp_path)
    polled.round()
    assert polled.source.timeout(polled.now) == 1.0
    polled.now += 1.0
    polled.source.process_events()
    polled.now += 2.0  # the duration of the round
    assert list(polled.source.ready_files()) == [None]
    assert polled.source.timeout(polled.now) == 40.0


def test_a_sweep_is_one_round_if_all_writers_are_known(tmp_path: Path) -> None:
    polled = Polled(tmp_path)
    polled.round()
    (tmp_path / "last").write_bytes(b"x")
    with open(tmp_path / "slow", "wb"):
        polled.source.start_sweep()
        assert not polled.source.is_sweep_done
        assert polled.round() == {"last"}
        assert polled.source.is_sweep_done


@pytest.mark.usefixtures("unknown_writers")
def test_a_sweep_takes_a_second_round_if_writers_are_unknown(tmp_path: Path) -> None:
    polled = Polled(tmp_path)
    polled.round()
    (tmp_path / "last").write_bytes(b"x")
    growing = tmp_path / "growing"
    growing.write_bytes(b"1")
    polled.source.start_sweep()
    assert polled.round() == set()
    assert not polled.source.is_sweep_done
    assert polled.source.timeout(polled.now) == 1.0
    growing.write_bytes(b"12")
    assert polled.round() == {"last"}
    assert polled.source.is_sweep_done  # a file that still grows is not complete


@pytest.mark.usefixtures("unknown_writers")
def test_the_second_round_of_a_sweep_follows_soon_however_long_the_first_took(tmp_path: Path) -> None:
    polled = Polled(tmp_path)
    polled.round()
    (tmp_path / "last").write_bytes(b"x")
    polled.source.start_sweep()
    polled.now += 30.0
    assert not [file for file in polled.source.ready_files() if file]
    assert polled.source.timeout(polled.now) == 1.0
    assert polled.round() == {"last"}
    assert polled.source.is_sweep_done
