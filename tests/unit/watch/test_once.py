"""The single scan of --once, with real folders."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dfud.core.names import DEFAULT_UPLOAD_REGEX, name_filter
from dfud.files.scan import WatchedTree
from dfud.watch.once import OnceSource


def test_files_that_are_being_written_are_left_for_the_next_run(tmp_path: Path) -> None:
    (tmp_path / "whole").write_bytes(b"x")
    source = OnceSource(WatchedTree(os.fsencode(tmp_path), name_filter(DEFAULT_UPLOAD_REGEX), 0))
    was_done = source.is_sweep_done
    with open(tmp_path / "slow", "wb"):
        found = [file.version.path for file in source.ready_files() if file]
    assert found == [b"whole"]
    assert (was_done, source.is_sweep_done) == (False, True)
    assert [text for _, text in source.pop_notices()] == ["slow is still being written: left for the next run"]
    assert (source.fileno(), source.timeout(0)) == (-1, None)


def test_folders_that_cannot_be_read_are_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(descriptor: int) -> object:  # injected: a bad disk
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "scandir", failing)
    source = OnceSource(WatchedTree(os.fsencode(tmp_path), name_filter(DEFAULT_UPLOAD_REGEX), 0))
    assert not [file for file in source.ready_files() if file]
    assert [text for _, text in source.pop_notices()] == [
        "cannot read folder .: Input/output error; skipped for now"
    ]


def test_the_scan_may_be_done_in_parts(tmp_path: Path) -> None:
    for number in range(5):
        (tmp_path / f"{number}").write_bytes(b"x")
    source = OnceSource(WatchedTree(os.fsencode(tmp_path), name_filter(DEFAULT_UPLOAD_REGEX), 0))

    def take(maximum: int) -> list[bytes]:
        taken = []
        for file in source.ready_files():
            taken += [file.version.path] if file else []
            if len(taken) == maximum:
                break
        return taken

    assert sorted([*take(2), *take(2), *take(2)]) == [b"0", b"1", b"2", b"3", b"4"]
