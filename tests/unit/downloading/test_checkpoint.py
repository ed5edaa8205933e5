"""Offsets are committed only when everything before them is on disk."""

from __future__ import annotations

import errno
import os
import random
import threading
from pathlib import Path

import pytest

from dfud.downloading import checkpoint as module
from dfud.downloading.offsets import Position
from dfud.downloading.part_metadata import PartName
from tests.helpers.downloading import native
from tests.helpers.fetching import DATA, NOW, Bench, at, bench

__all__ = ["bench"]

NO_SPACE = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
FAILING = "cannot write DIR: No space left on device; retrying"


def test_bytes_are_saved_before_metadata_and_metadata_before_offsets(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[object] = []
    monkeypatch.setattr(
        bench.checkpoints, "_sync", lambda: steps.append([os.path.splitext(name)[1] for name in bench.left()])
    )
    monkeypatch.setattr(bench.checkpoints, "_commit", steps.append)
    bench.take(*native(b"f", DATA, NOW)[:2])
    assert bench.save()
    assert steps == [[".new", ".part"], [".json", ".part"], {0: at(2)}]


@pytest.mark.parametrize("n_good", [0, 1])
def test_nothing_is_committed_while_the_disk_cannot_be_synced(bench: Bench, n_good: int) -> None:
    bench.sync_faults = [*[None] * n_good, NO_SPACE]  # injected: a disk that is full
    bench.take(*native(b"f", DATA, NOW)[:2])
    assert not bench.save()
    assert (bench.committed, bench.disk_reports) == (0, [FAILING])
    assert bench.save()
    assert (bench.committed, bench.disk_reports) == (2, [FAILING, "writing DIR works again"])
    bench.restart()
    bench.take(*native(b"f", DATA, NOW)[2:])
    assert bench.files() == {b"f": DATA}


@pytest.mark.parametrize("obstacle", ["link", "folder"])
@pytest.mark.parametrize("end", [".new", ".json"])
def test_metadata_that_cannot_be_written_is_retried(bench: Bench, tmp_path: Path, obstacle: str, end: str) -> None:
    records = native(b"f", DATA, NOW)
    bench.take(records[0])
    place = bench.part().with_suffix(end)
    if obstacle == "link":
        place.symlink_to(tmp_path / "outside")
    else:
        place.mkdir()
    saved = bench.save()
    assert not (tmp_path / "outside").exists()
    if obstacle == "link":
        assert saved  # what is there is replaced
        assert not place.is_symlink()
    else:
        assert (saved, bench.committed, len(bench.disk_reports)) == (False, 0, 1)
        place.rmdir()
        assert bench.save()
    bench.restart()
    bench.take(*records[1:])
    assert bench.files() == {b"f": DATA}


def test_messages_are_taken_during_a_checkpoint(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MIN_INTERVAL_S", 0.0)
    monkeypatch.setattr(module, "_COST_FACTOR", 0.0)
    bench.checkpoints._next = 0.0
    synced = threading.Event()
    monkeypatch.setattr(bench.checkpoints, "_sync", synced.wait)
    records = native(b"f", DATA, NOW)
    positions: dict[int, Position] = {}
    for number in range(1, 4):
        bench.take(records[number - 1])
        positions[0] = at(number)
        bench.checkpoints.run_due(positions)
    assert bench.committed == 0
    synced.set()
    bench.checkpoints.wait()
    bench.checkpoints.run_due({0: at(3)})
    assert bench.committed == 1, "what was taken during the checkpoint is not part of it"
    bench.restart()
    bench.take_again()
    bench.take(records[3])
    assert bench.files() == {b"f": DATA}


def test_finishing_waits_for_the_disk_and_commits_everything(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    commits: list[dict[int, Position]] = []
    monkeypatch.setattr(bench.checkpoints, "_commit", commits.append)
    bench.checkpoints._next = 0.0
    bench.take(*native(b"f", DATA, NOW))
    bench.checkpoints.run_due({0: at(2), 1: at(5)})
    assert bench.checkpoints.finish({0: at(4), 1: at(5)})
    assert commits == [{0: at(2), 1: at(5)}, {0: at(4)}]
    assert bench.checkpoints.finish({0: at(4), 1: at(5)})
    assert len(commits) == 2
    bench.checkpoints.on_commit_failed()
    assert bench.checkpoints.finish({0: at(4), 1: at(5)})
    assert commits[2:] == [{0: at(4), 1: at(5)}]


def test_there_is_no_checkpoint_without_news_or_soon_after_a_slow_one(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    syncs: list[None] = []
    monkeypatch.setattr(module, "_MIN_INTERVAL_S", 0.0)
    monkeypatch.setattr(bench.checkpoints, "_sync", lambda: syncs.append(None))

    def tick(offset: int) -> None:
        """Start the checkpoint that is due, and end it."""
        bench.checkpoints.run_due({0: at(offset)})
        if bench.checkpoints._running is not None:
            bench.checkpoints._running.wait()
            bench.checkpoints.wait().seconds = 0.0 if offset < 2 else 1000.0  # injected: how long it took
            bench.checkpoints.run_due({0: at(offset)})

    tick(1)
    assert len(syncs) == 0, "the first is started too early"
    bench.checkpoints._next = 0.0
    for offset, n_syncs in ((1, 1), (1, 1), (2, 2), (3, 2)):
        tick(offset)
        assert len(syncs) == n_syncs


@pytest.mark.parametrize("step", range(5))
@pytest.mark.parametrize("n_saved", range(3))
def test_killed_at_any_step_of_a_checkpoint_it_loses_nothing(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, n_saved: int, step: int
) -> None:
    files = {b"%d" % number: random.Random(number).randbytes(3500) for number in range(2)}
    records = [
        record for pair in zip(*(native(path, data, NOW) for path, data in files.items())) for record in pair
    ]
    bench.take(*records[:n_saved])
    bench.save()
    bench.take(*records[n_saved : n_saved + 3])
    steps = 0

    def proceed() -> None:
        nonlocal steps
        steps += 1
        if steps > step:
            raise OSError  # injected: nothing after this step is done

    publish = bench.folder.publish_metadata

    def publish_metadata(name: PartName) -> None:
        proceed()
        publish(name)

    monkeypatch.setattr(bench.folder, "publish_metadata", publish_metadata)
    monkeypatch.setattr(bench.checkpoints, "_sync", proceed)
    before = bench.committed
    saved = bench.save()
    assert (saved, bench.committed) == ((True, n_saved + 3) if step == 4 else (False, before))
    bench.restart()
    bench.take_again()
    bench.take(*records[n_saved + 3 :])
    assert bench.files() == files
    assert bench.save()
    assert bench.left() == []


def begin_and_fail_or_not(bench: Bench, is_failing: bool) -> None:
    bench.sync_faults = [None, NO_SPACE if is_failing else None]  # injected: the metadata is there, but not synced
    bench.checkpoints.start({0: at(len(bench.log))})
    bench.checkpoints.wait()


@pytest.mark.parametrize("is_failing", [True, False])
def test_a_file_completed_after_a_checkpoint_leaves_no_metadata(bench: Bench, is_failing: bool) -> None:
    records = native(b"f", DATA, NOW)
    bench.take(*records[:2])
    begin_and_fail_or_not(bench, is_failing)
    assert bench.checkpoints.end() != is_failing
    bench.take(*records[2:])
    assert bench.files() == {b"f": DATA}
    assert bench.left() == []


def test_a_file_completed_during_a_checkpoint_leaves_no_metadata(bench: Bench) -> None:
    records = native(b"f", DATA, NOW)
    bench.take(*records[:2])
    begin_and_fail_or_not(bench, False)
    bench.take(*records[2:])
    assert bench.files() == {b"f": DATA}
    assert bench.checkpoints.end()
    assert bench.left() == []
