"""The watcher, driven step by step over a real channel."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dfud.files import scan
from dfud.messages import (
    Allowance,
    CanaryFound,
    DirectoryGone,
    FileFound,
    FileLeft,
    FilesFound,
    FolderMovedIn,
    FromWatcher,
    Notice,
    Reconsider,
    Stop,
    Sweep,
    SweepDone,
    ToWatcher,
    WatchReport,
    WatchStarted,
)
from dfud.processes import links
from dfud.processes.channel import Channel
from dfud.watch import events
from dfud.watch import watcher as module
from dfud.watch.events import EventSource
from dfud.watch.folder_watches import FolderWatches, WatchLimitError
from dfud.watch.polling import PollingSource
from dfud.watch.together import each_of
from dfud.watch.watcher import Watcher, WatchOptions
from tests.helpers.watching import watch_options

Ends = tuple[Channel[ToWatcher, FromWatcher], Channel[FromWatcher, ToWatcher]]


@pytest.fixture
def channels() -> Iterator[Ends]:
    ours, theirs = Channel.pair(links.WATCHER)
    yield ours, theirs
    ours.close()
    theirs.close()


@pytest.fixture
def watch(channels: Ends) -> Iterator[Callable[[WatchOptions], Watcher]]:
    """A factory of watchers at the other end of the channel."""
    with contextlib.ExitStack() as stack:
        yield lambda options: stack.enter_context(contextlib.closing(Watcher(channels[1], options)))


class Clock:
    """A time that advances only when a test changes it."""

    def __init__(self) -> None:
        self.now = 0.0
        self.step = 0.0  # by which each look at it advances it

    def __call__(self) -> float:
        self.now += self.step
        return self.now


def receive_all(ours: Channel[ToWatcher, FromWatcher]) -> list[FromWatcher]:
    """All messages, and in the place of those about several files one about each."""
    messages: list[FromWatcher] = []
    while batch := ours.receive(wait=False):
        for message in batch:
            messages += each_of(message) if isinstance(message, FilesFound) else [message]
    return messages


@pytest.mark.parametrize("kind", ["events", "polling", "once"])
def test_no_more_files_are_reported_than_allowed(
    channels: Ends, watch: Callable[[WatchOptions], Watcher], tmp_path: Path, kind: str
) -> None:
    for number in range(5):
        (tmp_path / f"{number}").write_bytes(b"x")
    ours, _ = channels
    watcher = watch(watch_options(tmp_path, kind == "once", kind == "polling"))
    found: list[FromWatcher] = []
    for allowed in (2, 1, 3):
        ours.post([Allowance(allowed)])
        messages: list[FromWatcher] = []
        while len(messages) < min(allowed, 5 - len(found)):
            assert watcher.run_once()
            messages += [message for message in receive_all(ours) if isinstance(message, FileFound)]
        assert len(messages) <= allowed
        found += messages
    assert {message.version.path for message in found if isinstance(message, FileFound)} == set(
        map(os.fsencode, os.listdir(tmp_path))
    )
    ours.post([Stop()])
    assert not watcher.run_once()


@pytest.mark.parametrize("kind", ["events", "polling", "once"])
def test_a_sweep_is_answered_after_everything_is_reported(
    channels: Ends, watch: Callable[[WatchOptions], Watcher], tmp_path: Path, kind: str
) -> None:
    ours, _ = channels
    watcher = watch(watch_options(tmp_path, kind == "once", kind == "polling"))
    for number in range(600):
        (tmp_path / f"{number}").write_bytes(b"x")
    ours.post([Allowance(2000), Sweep(7)])  # a file may be reported twice
    messages: list[FromWatcher] = []
    while SweepDone(7) not in messages:
        assert watcher.run_once()
        messages += receive_all(ours)
    assert messages[-1] == SweepDone(7)
    paths = {message.version.path for message in messages if isinstance(message, FileFound)}
    assert paths == {b"%d" % number for number in range(600)}


def test_what_happens_just_before_the_answer_is_part_of_the_sweep(
    channels: Ends, watch: Callable[[WatchOptions], Watcher], tmp_path: Path
) -> None:
    ours, _ = channels
    watcher = watch(watch_options(tmp_path))
    process_events = watcher._sources[0].process_events

    def write_late_and_process() -> None:
        if watcher._sources[0].is_sweep_done and not (tmp_path / "late").exists():
            (tmp_path / "late").write_bytes(b"x")
        process_events()

    ours.post([Allowance(10), Sweep(1)])
    watcher._sources[0].process_events = write_late_and_process  # type: ignore[method-assign]
    *reports, answer = sweep(watcher, ours, 1)
    assert answer == SweepDone(1)
    assert b"late" in {message.version.path for message in reports if isinstance(message, FileFound)}


def test_a_sweep_goes_on_by_polling_when_the_watches_run_out(
    channels: Ends, watch: Callable[[WatchOptions], Watcher], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Here a file is written in a folder that has no watch, just before the watcher begins to poll."""

    class LatePollingSource(PollingSource):
        def __init__(self, *args: Any) -> None:
            (tmp_path / "folder" / "late").write_bytes(b"x")
            super().__init__(*args)

    def add(watches: FolderWatches, path: bytes, dir_fd: int, absolute_path: bytes) -> bool:
        if path:
            raise WatchLimitError("no more watches")  # injected
        return True

    (tmp_path / "folder").mkdir()
    monkeypatch.setattr(FolderWatches, "add", add)
    monkeypatch.setattr(module, "PollingSource", LatePollingSource)
    ours, _ = channels
    watcher = watch(watch_options(tmp_path))
    ours.post([Allowance(10), Sweep(1)])
    *reports, answer = sweep(watcher, ours, 1)
    assert answer == SweepDone(1)
    assert Notice(30, "no more watches; polling until dfud is restarted") in reports
    paths = {message.version.path for message in reports if isinstance(message, FileFound)}
    assert paths == {b"folder/late"}
    assert WatchReport("all", 0, 0, 0) in reports


def test_a_rescan_is_reported_once(
    channels: Ends,
    watch: Callable[[WatchOptions], Watcher],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(events, "_MAX_WAITING", 5)
    ours, _ = channels
    watcher = watch(watch_options(tmp_path))
    ours.post([Allowance(10), Sweep(1)])
    sweep(watcher, ours, 1)
    for number in range(20):
        (tmp_path / f"{number}").write_bytes(b"x")
    ours.post([Allowance(1_000), Sweep(2)])
    reports = [message for message in sweep(watcher, ours, 2) if isinstance(message, WatchReport)]
    assert reports == [WatchReport("none", 1, 0, 0)]
    ours.post([Allowance(1), Sweep(3)])
    assert sweep(watcher, ours, 3) == [SweepDone(3)]


def test_a_step_is_short_however_long_a_scan_takes(channels: Ends, tmp_path: Path) -> None:
    """Events and the supervisor's messages come first again after each step."""
    ours, theirs = channels
    for number in range(20):
        (tmp_path / f"{number}").write_bytes(b"x")
    clock = Clock()
    clock.step = 0.02
    with contextlib.closing(Watcher(theirs, watch_options(tmp_path), clock)) as watcher:
        ours.post([Allowance(1000)])
        assert watcher.run_once()
        assert sum(isinstance(message, FileFound) for message in receive_all(ours)) < 5


def test_a_folder_that_is_moved_in_is_reported_before_its_files(
    channels: Ends, watch: Callable[[WatchOptions], Watcher], tmp_path: Path
) -> None:
    top, stage = tmp_path / "top", tmp_path / "stage"
    top.mkdir()
    stage.mkdir()
    (stage / "file").write_bytes(b"x")
    ours, _ = channels
    watcher = watch(watch_options(top))
    assert receive_all(ours) == [WatchStarted()]
    stage.rename(top / "in")
    ours.post([Allowance(10), Sweep(1)])
    reports = [message for message in sweep(watcher, ours, 1) if isinstance(message, (FolderMovedIn, FileFound))]
    assert reports[0] == FolderMovedIn(b"in")
    assert {message.version.path for message in reports[1:] if isinstance(message, FileFound)} == {b"in/file"}


def test_polling_does_not_spin_without_an_allowance(
    watch: Callable[[WatchOptions], Watcher], tmp_path: Path
) -> None:
    watcher = watch(watch_options(tmp_path, polling=True))
    assert watcher.run_once()
    assert watcher._sources[0].has_pending
    assert watcher._sources[0].timeout(1e9) is None


def test_remote_file_systems_are_polled(
    channels: Ends,
    watch: Callable[[WatchOptions], Watcher],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ours, _ = channels
    mounts = f"1 1 0:1 / {tmp_path} rw - nfs4 server:/ rw\n"
    monkeypatch.setattr(module, "read_mountinfo", lambda: mounts)
    watcher = watch(watch_options(tmp_path))
    text = "nfs4 file systems do not report all changes: polling, too"
    assert receive_all(ours) == [Notice(30, text), WatchStarted()]
    assert [type(source) for source in watcher._sources] == [EventSource, PollingSource]


def test_a_sweep_reads_once_more_what_could_not_be_read_and_says_what_it_skipped(
    channels: Ends,
    watch: Callable[[WatchOptions], Watcher],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ours, _ = channels
    watcher = watch(watch_options(tmp_path))
    ours.post([Allowance(1000), Sweep(1)])
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "file").write_bytes(b"x")

    def no_descriptor(*_: object) -> int:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(scan, "open_folder", no_descriptor)
    assert sweep(watcher, ours, 1)[-1] == SweepDone(1, is_whole=False)
    monkeypatch.undo()
    ours.post([Sweep(2)])
    *found, answer = sweep(watcher, ours, 2)
    assert {message.version.path for message in found if isinstance(message, FileFound)} == {b"folder/file"}
    assert answer == SweepDone(2)


def sweep(watcher: Watcher, ours: Channel[ToWatcher, FromWatcher], number: int) -> list[FromWatcher]:
    """Return what a watcher reports up to the answer to a sweep."""
    messages: list[FromWatcher] = []
    while not any(isinstance(message, SweepDone) and message.number == number for message in messages):
        assert watcher.run_once()
        messages += receive_all(ours)
    return messages


def remove(top: Path) -> None:
    shutil.rmtree(top)


def rename(top: Path) -> None:
    top.rename(top.with_name("elsewhere"))


def replace(top: Path) -> None:
    rename(top)
    top.mkdir()


def rename_parent(top: Path) -> None:
    top.parent.rename(top.parent.with_name("elsewhere"))


@pytest.mark.parametrize("end", [remove, rename, replace, rename_parent])
def test_the_end_of_the_directory_is_reported_at_once(
    channels: Ends,
    watch: Callable[[WatchOptions], Watcher],
    tmp_path: Path,
    end: Callable[[Path], None],
) -> None:
    ours, _ = channels
    top = tmp_path / "above" / "top"
    (top / "LOGS").mkdir(parents=True)
    watcher = watch(watch_options(top))
    ours.post([Allowance(10), Sweep(1)])
    sweep(watcher, ours, 1)
    assert watcher._top.timeout(0.0) is None, "it checks at intervals, for no reason"
    end(top)
    reports: list[FromWatcher] = []
    while not reports:
        assert watcher.run_once()
        reports = [message for message in receive_all(ours) if isinstance(message, DirectoryGone)]
    assert reports == [DirectoryGone(f"{top} has been removed, renamed, unmounted or replaced")]


@pytest.mark.parametrize("kind", ["events", "polling", "once"])
def test_the_kernel_is_asked_about_the_directory_only_if_it_is_watched(
    watch: Callable[[WatchOptions], Watcher], tmp_path: Path, kind: str
) -> None:
    (tmp_path / "LOGS").mkdir()
    watcher = watch(watch_options(tmp_path, kind == "once", kind == "polling"))
    assert (watcher._top.timeout(0.0) is None) is (kind == "events")


@pytest.mark.parametrize("remote", [True, False])
def test_another_inode_means_another_directory_on_local_file_systems_only(
    channels: Ends, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, remote: bool
) -> None:
    kind = "nfs4" if remote else "ext4"
    monkeypatch.setattr(module, "read_mountinfo", lambda: f"1 1 0:1 / {tmp_path} rw - {kind} server:/ rw\n")
    ours, theirs = channels
    top, clock = tmp_path / "top", Clock()
    top.mkdir()
    with contextlib.closing(Watcher(theirs, watch_options(top), clock)) as watcher:
        replace(top)
        clock.now += 10
        ours.post([Allowance(1)])
        assert watcher.run_once()
    assert any(isinstance(message, DirectoryGone) for message in receive_all(ours)) is not remote


@pytest.mark.parametrize("kind", ["events", "polling"])
@pytest.mark.parametrize("end", [remove, rename, replace])
def test_the_end_of_the_directory_is_reported_once(
    channels: Ends, tmp_path: Path, kind: str, end: Callable[[Path], None]
) -> None:
    ours, theirs = channels
    top, clock = tmp_path / "top", Clock()
    top.mkdir()
    with contextlib.closing(Watcher(theirs, watch_options(top, polling=kind == "polling"), clock)) as watcher:
        ours.post([Allowance(10)])
        for _ in range(3):
            clock.now += 10
            assert watcher.run_once()
        assert not any(isinstance(message, DirectoryGone) for message in receive_all(ours))
        end(top)
        for _ in range(3):
            clock.now += 10
            ours.post([Allowance(1)])  # otherwise it would wait for an event
            assert watcher.run_once()
        reports = [message for message in receive_all(ours) if isinstance(message, DirectoryGone)]
        assert reports == [DirectoryGone(f"{top} has been removed, renamed, unmounted or replaced")]


@pytest.mark.parametrize("kind", ["events", "polling"])
def test_the_canary_is_found_each_time_that_it_is_written(
    channels: Ends, watch: Callable[[WatchOptions], Watcher], tmp_path: Path, kind: str
) -> None:
    (tmp_path / "LOGS").mkdir()
    canary = tmp_path / "LOGS" / ".canary"
    options = watch_options(tmp_path, polling=kind == "polling")._replace(canary=str(canary))
    watcher = watch(options)
    ours, _ = channels
    for number in range(2):
        (tmp_path / "LOGS" / "table.csv").write_bytes(b"no canary")
        (tmp_path / "LOGS" / "new").write_bytes(b"x" * (number + 1))
        os.replace(tmp_path / "LOGS" / "new", canary)
        while CanaryFound() not in receive_all(ours):
            assert watcher.run_once()
    ours.post([Allowance(1)])
    assert watcher.run_once()
    assert CanaryFound() not in receive_all(ours)


def test_a_sweep_waits_for_a_file_that_is_looked_at_again(
    channels: Ends, watch: Callable[[WatchOptions], Watcher], tmp_path: Path
) -> None:
    for name in ("open", "closed"):
        (tmp_path / name).write_bytes(b"x")
    ours, _ = channels
    watcher = watch(watch_options(tmp_path, once=True))
    ours.post([Allowance(2000), Sweep(1)])
    messages: list[FromWatcher] = []
    while SweepDone(1) not in messages:
        assert watcher.run_once()
        messages += receive_all(ours)
    with open(tmp_path / "open", "ab"):
        ours.post([Reconsider(b"open"), Sweep(2), Reconsider(b"closed"), Sweep(3)])
        messages.clear()
        while SweepDone(3) not in messages:
            assert watcher.run_once()
            messages += receive_all(ours)
    (again,) = (message for message in messages if isinstance(message, FileFound))
    assert (again.version.path, again.is_asked) == (b"closed", True)
    assert FileLeft(b"open", "is still being written") in messages
