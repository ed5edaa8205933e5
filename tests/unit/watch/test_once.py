"""The single scan of --once, with real folders."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest

from dfud.core.version import FileVersion
from dfud.messages import FilesBefore, Notice
from dfud.watch.once import OnceSource
from tests.helpers.watching import WatchParts


class Once(WatchParts):
    """A directory, and the single scan of it."""

    def __init__(
        self, top: Path, is_local: bool = True, upload_regex: str | None = None, compare_since_ns: int = 0
    ) -> None:
        super().__init__(top, is_local=is_local, upload_regex=upload_regex)
        self.source = OnceSource(self.tree, self.inspector, self.before, compare_since_ns)

    def found(self) -> list[str]:
        """Return the paths of the files that are ready."""
        return self.ready_paths(self.source)


def test_files_that_are_being_written_are_named_at_the_end(tmp_path: Path) -> None:
    (tmp_path / "whole").write_bytes(b"x")
    once = Once(tmp_path)
    was_done = once.source.is_sweep_done
    with open(tmp_path / "slow", "wb"):
        assert once.found() == ["whole"]
    assert (was_done, once.source.is_sweep_done) == (False, True)
    assert once.inspector.is_settled
    assert once.inspector.pop_left() == [(b"slow", "is still being written")]
    assert (once.source.fileno(), once.source.timeout(0)) == (-1, None)


def test_where_the_kernel_knows_no_writers_two_equal_looks_decide(tmp_path: Path) -> None:
    (tmp_path / "whole").write_bytes(b"x")
    (tmp_path / "grows").write_bytes(b"x")
    once = Once(tmp_path, is_local=False)
    assert once.found() == []
    assert not once.inspector.is_settled
    (tmp_path / "grows").write_bytes(b"more")
    once.now += once.inspector.timeout(once.now) or 0.0
    assert once.now == 2.0
    assert once.found() == ["whole"]
    assert once.inspector.is_settled
    assert once.inspector.pop_left() == [(b"grows", "is still being written")]


@pytest.mark.parametrize("keeps_ctime", [True, False])
def test_an_old_file_has_been_quiet_if_its_ctime_can_tell(tmp_path: Path, keeps_ctime: bool) -> None:
    """FAT shows the mtime as the ctime, and that may have been copied with the file."""
    (tmp_path / "old").write_bytes(b"x")
    since = (tmp_path / "old").stat().st_ctime
    once = WatchParts(tmp_path, keeps_ctime=keeps_ctime, lag_s=5.0, wall_ns=lambda: int((since + 6.0) * 1e9))
    source = OnceSource(once.tree, once.inspector, once.before)
    assert once.ready_paths(source) == (["old"] if keeps_ctime else [])
    once.now += once.inspector.timeout(once.now) or 0.0
    assert once.ready_paths(source) == ([] if keeps_ctime else ["old"])


def test_folders_that_cannot_be_read_are_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(descriptor: int) -> object:  # injected: a bad disk
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "scandir", failing)
    once = Once(tmp_path)
    assert not once.found()
    assert [text for _, text in once.source.pop_notices()] == [
        "cannot read folder .: Input/output error; skipped for now"
    ]


def test_the_scan_may_be_done_in_parts(tmp_path: Path) -> None:
    for number in range(5):
        (tmp_path / f"{number}").write_bytes(b"x")
    source = Once(tmp_path).source

    def take(maximum: int) -> list[bytes]:
        taken = []
        for file in source.ready_files():
            taken += [file.version.path] if file else []
            if len(taken) == maximum:
                break
        return taken

    assert sorted([*take(2), *take(2), *take(2)]) == [b"0", b"1", b"2", b"3", b"4"]


def test_what_changed_lately_is_to_be_compared(tmp_path: Path) -> None:
    (tmp_path / "old").write_bytes(b"x")
    since_ns = (tmp_path / "old").stat().st_ctime_ns + 1
    while (tmp_path / "new").exists() is False or (tmp_path / "new").stat().st_ctime_ns < since_ns:
        (tmp_path / "new").write_bytes(b"x")
    once = Once(tmp_path, compare_since_ns=since_ns)
    assert {file.version.path: file.compare for file in once.ready(once.source)} == {b"old": False, b"new": True}


def test_what_a_topic_cannot_hold_is_counted(tmp_path: Path) -> None:
    (tmp_path / "empty" / "within").mkdir(parents=True)
    (tmp_path / "folder").symlink_to("empty")
    once = Once(tmp_path)
    assert once.found() == []
    assert [message for message in once.sent if isinstance(message, Notice)] == [
        Notice(logging.INFO, "1 empty folder: left, as a topic holds only files"),
        Notice(logging.INFO, "1 link to folders: not followed"),
    ]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("^scan1/.*dat$", []),
        ("x", ["--upload_regex x matches none of the 1 file that is there"]),
        ("scan2/", ["--upload_regex scan2/ matches none of the 1 file that is there"]),
        (".*", []),
    ],
)
def test_a_pattern_that_matches_nothing_is_told(tmp_path: Path, pattern: str, expected: list[str]) -> None:
    (tmp_path / "scan1").mkdir()
    (tmp_path / "scan1" / "a.dat").write_bytes(b"x")
    once = Once(tmp_path, upload_regex=pattern)
    assert once.found() == ([] if expected else ["scan1/a.dat"])
    warnings = [each.text for each in once.sent if isinstance(each, Notice) and each.level == logging.WARNING]
    assert [text.split(":")[0] for text in warnings] == expected


def test_nothing_was_there_before(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")
    once = Once(tmp_path)
    (file,) = once.ready(once.source)
    assert file.version == FileVersion(b"file", 1, (tmp_path / "file").stat().st_mtime_ns)
    assert once.sent == [FilesBefore(b"", True)]
