"""Polling, with real folders and a clock of the test's."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dfud.messages import FileFound, FilesBefore
from dfud.watch.polling import PollingSource
from tests.helpers.watching import WatchParts

FILE_TIME = (10**9, 10**9)  # of access and modification


class Polled(WatchParts):
    """A source that polls, one round at a time."""

    def __init__(self, top: Path, take_all: bool = True, since_ns: int = 0, is_local: bool = True) -> None:
        super().__init__(top, since_ns, is_local=is_local)
        self.now = 100.0
        self.source = PollingSource(self.tree, self.inspector, self.before, take_all, clock=self.clock)

    def round(self) -> set[str]:
        """Let the pause pass; return what the next round finds, and what has waited long enough by then."""
        return {os.fsdecode(file.version.path) for file in self.files()}

    def files(self) -> list[FileFound]:
        """Do what `round` does, and return the messages."""
        self.now += self.source.timeout(self.now) or 0
        self.source.process_events()
        assert self.source.timeout(self.now) is None  # nothing is waited for during a round
        return list(self.ready(self.source))

    def start_sweep(self) -> None:
        """Begin to look for everything that is there now."""
        self.inspector.start_end(takes_closed=True, expected=self.source.start_sweep())

    @property
    def is_done(self) -> bool:
        """Whether the sweep is done."""
        return self.source.is_sweep_done and self.inspector.is_settled


def test_a_file_without_writers_is_ready_at_once(tmp_path: Path) -> None:
    polled = Polled(tmp_path)
    (tmp_path / "whole").write_bytes(b"x")
    with open(tmp_path / "slow", "wb"):
        assert polled.round() == {"whole"}
        assert polled.round() == set()
    assert polled.round() | polled.round() == {"slow"}
    assert polled.round() == set()
    (tmp_path / "whole").write_bytes(b"more")
    assert polled.round() == {"whole"}


def test_where_the_kernel_knows_no_writers_a_file_is_ready_when_two_looks_find_the_same(tmp_path: Path) -> None:
    polled = Polled(tmp_path, is_local=False)
    (tmp_path / "whole").write_bytes(b"x")
    grown = tmp_path / "grown"
    grown.write_bytes(b"1")
    assert polled.round() == set()  # at 0 s
    assert polled.round() == set()  # at 1 s: not 2 s yet
    grown.write_bytes(b"12")
    (tmp_path / "gone").write_bytes(b"1")
    assert polled.round() == {"whole"}
    grown.write_bytes(b"123")
    (tmp_path / "gone").unlink()
    assert polled.round() == set()
    found = set()
    for _ in range(4):
        found |= polled.round()
    assert found == {"grown"}


def test_old_files_are_ready_only_when_they_change(tmp_path: Path) -> None:
    (tmp_path / "old").write_bytes(b"x")
    polled = Polled(tmp_path, take_all=False, since_ns=2**62)
    for _ in range(3):
        assert polled.round() == set()
    assert polled.n_before() == 1
    (tmp_path / "old").write_bytes(b"changed")
    (tmp_path / "new").write_bytes(b"x")
    assert polled.round() == {"old", "new"}


@pytest.mark.parametrize("how", ["in place", "another file"])
def test_content_that_changes_behind_size_and_mtime_is_to_be_compared(tmp_path: Path, how: str) -> None:
    (tmp_path / "file").write_bytes(b"one")
    os.utime(tmp_path / "file", FILE_TIME)
    polled = Polled(tmp_path)
    (found,) = polled.files()
    target = tmp_path / ("file" if how == "in place" else ".other")
    target.write_bytes(b"two")
    os.utime(target, FILE_TIME)
    target.rename(tmp_path / "file")
    (again,) = polled.files()
    assert again.version == found.version
    assert (again.ctime_ns, again.inode) != (found.ctime_ns, found.inode)
    assert again.compare
    assert polled.round() == set()


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
        polled.start_sweep()
        assert not polled.is_done
        assert polled.round() == {"last"}
        assert polled.is_done
    assert polled.inspector.pop_left() == [(b"slow", "is still being written")]


def test_a_sweep_takes_two_looks_where_the_kernel_knows_no_writers(tmp_path: Path) -> None:
    polled = Polled(tmp_path, is_local=False)
    polled.round()
    (tmp_path / "last").write_bytes(b"x")
    growing = tmp_path / "growing"
    growing.write_bytes(b"1")
    polled.start_sweep()
    assert polled.round() == set()
    assert polled.source.is_sweep_done
    assert not polled.is_done
    growing.write_bytes(b"12")
    polled.now += polled.inspector.timeout(polled.now) or 0.0
    assert polled.ready_paths(polled.source) == ["last"]
    assert polled.is_done
    assert polled.inspector.pop_left() == [(b"growing", "is still being written")]


def test_one_folder_alone_is_polled(tmp_path: Path) -> None:
    for folder in ("mounted", "other"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "file").write_bytes(b"x")
    parts = WatchParts(tmp_path)
    source = PollingSource(parts.tree, parts.inspector, None, True, b"mounted", clock=parts.clock)
    assert parts.ready_paths(source) == ["mounted/file"]
    assert parts.sent == []


def test_the_first_round_says_what_was_there_before(tmp_path: Path) -> None:
    polled = Polled(tmp_path)
    polled.round()
    polled.round()
    assert polled.sent == [FilesBefore(b"", True)]
