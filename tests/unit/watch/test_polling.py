"""Polling and the one look of --once, on real folders with a clock of the test's."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dfud.core.names import DEFAULT_UPLOAD_REGEX, name_filter
from dfud.files.scan import WatchedTree
from dfud.watch.once import OnceSource
from dfud.watch.polling import PollingSource


class Polled:
    """A source that polls, a round at a time."""

    def __init__(self, top: Path, take_all: bool = True, since_ns: int = 0) -> None:
        self.now = 100.0
        self.tree = WatchedTree(os.fsencode(top), name_filter(DEFAULT_UPLOAD_REGEX), since_ns)
        self.source = PollingSource(self.tree, take_all, lambda: self.now)

    def round(self) -> set[str]:
        """Let the pause pass and return what the next round finds."""
        self.now += self.source.due(self.now) or 0
        self.source.take_in()
        assert self.source.due(self.now) is None  # in the middle of a round there is nothing to wait for
        return {os.fsdecode(ready.version.path) for ready in self.source.ready() if ready}


@pytest.fixture
def unknown_writers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the kernel not tell who writes, as it is on NFS and CIFS (injected: there is none here)."""
    monkeypatch.setattr("dfud.files.scan.is_being_written", lambda descriptor, closed_next: None)


def test_a_whole_file_is_taken_at_once_where_the_kernel_tells(tmp_path: Path) -> None:
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
def test_a_file_is_taken_when_it_has_not_changed_for_a_round(tmp_path: Path) -> None:
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
def test_old_files_are_taken_only_when_they_change(tmp_path: Path) -> None:
    (tmp_path / "old").write_bytes(b"x")
    polled = Polled(tmp_path, take_all=False, since_ns=2**62)
    for _ in range(3):
        assert polled.round() == set()
    (tmp_path / "old").write_bytes(b"changed")
    (tmp_path / "new").write_bytes(b"x")
    assert polled.round() == set()
    assert polled.round() == {"old", "new"}


def test_rounds_are_a_second_apart_or_more(tmp_path: Path) -> None:
    polled = Polled(tmp_path)
    polled.round()
    assert polled.source.due(polled.now) == 1.0
    polled.now += 1.0
    polled.source.take_in()
    polled.now += 2.0  # what the round takes
    assert list(polled.source.ready()) == [None]
    assert polled.source.due(polled.now) == 40.0


def test_a_sweep_is_one_round_where_the_kernel_tells(tmp_path: Path) -> None:
    polled = Polled(tmp_path)
    polled.round()
    (tmp_path / "last").write_bytes(b"x")
    with open(tmp_path / "slow", "wb"):
        polled.source.sweep()
        assert not polled.source.is_swept
        assert polled.round() == {"last"}
        assert polled.source.is_swept


@pytest.mark.usefixtures("unknown_writers")
def test_a_sweep_takes_a_second_round_for_files_in_doubt(tmp_path: Path) -> None:
    polled = Polled(tmp_path)
    polled.round()
    (tmp_path / "last").write_bytes(b"x")
    growing = tmp_path / "growing"
    growing.write_bytes(b"1")
    polled.source.sweep()
    assert polled.round() == set()
    assert not polled.source.is_swept
    assert polled.source.due(polled.now) == 1.0
    growing.write_bytes(b"12")
    assert polled.round() == {"last"}
    assert polled.source.is_swept  # what still grows is not whole


# --once


def test_once_leaves_what_is_being_written(tmp_path: Path) -> None:
    (tmp_path / "whole").write_bytes(b"x")
    source = OnceSource(WatchedTree(os.fsencode(tmp_path), name_filter(DEFAULT_UPLOAD_REGEX), 0))
    assert not source.is_swept
    with open(tmp_path / "slow", "wb"):
        found = [ready.version.path for ready in source.ready() if ready]
    assert found == [b"whole"]
    assert source.is_swept
    assert [text for _, text in source.notices()] == ["slow is still being written: it is left for the next time"]
    assert (source.fileno(), source.due(0)) == (-1, None)


def test_once_tells_of_folders_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(descriptor: int) -> object:  # injected: a bad disk
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "scandir", failing)
    source = OnceSource(WatchedTree(os.fsencode(tmp_path), name_filter(DEFAULT_UPLOAD_REGEX), 0))
    assert not [ready for ready in source.ready() if ready]
    assert [text for _, text in source.notices()] == ["cannot read folder .: Input/output error; skipped for now"]


def test_a_look_may_be_taken_in_parts(tmp_path: Path) -> None:
    for number in range(5):
        (tmp_path / f"{number}").write_bytes(b"x")
    source = OnceSource(WatchedTree(os.fsencode(tmp_path), name_filter(DEFAULT_UPLOAD_REGEX), 0))

    def take(most: int) -> list[bytes]:
        taken = []
        for ready in source.ready():
            taken += [ready.version.path] if ready else []
            if len(taken) == most:
                break
        return taken

    assert sorted([*take(2), *take(2), *take(2)]) == [b"0", b"1", b"2", b"3", b"4"]
