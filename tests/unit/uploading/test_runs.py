"""When a run is sealed and its marker sent: a real ledger, and a sealer that says what the test wants."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any, cast

import pytest

from dfud.core.version import FileVersion
from dfud.logs.completed.recorded import RecordedVersions
from dfud.messages import FileFound, FileLeft, RunSealed, RunUnsealed
from dfud.uploading.ledger import Ledger
from dfud.uploading.runs import Runs
from dfud.uploading.sealer import SealSettings, SealTask
from tests.helpers.recorded import record
from tests.helpers.watching import watch_options

MISSING = RunUnsealed("b is not on the topic", is_waiting=True)


def found(path: bytes, size: int = 0) -> FileFound:
    return FileFound(FileVersion(path, size, 1), False, 2, 3)


class Bench:
    """What surrounds the runs: detection, pool and event loop at once."""

    def __init__(self, top: Path) -> None:
        self.now = 100.0
        self.is_over = False
        self.recorded = RecordedVersions()
        self.ledger = Ledger(10, 1, self.recorded, lambda: "now")
        self.added: list[bytes] = []
        self.left: dict[bytes, str] = {}
        self.on_session: list[bytes] = []
        self.tasks: list[SealTask] = []
        self.lines: list[str] = []
        log = logging.Logger("test", logging.INFO)
        log.addFilter(lambda line: not self.lines.append(line.getMessage()))  # type: ignore[func-returns-value]
        watch = watch_options(top)._replace(run_markers=("Done*",))
        settings = SealSettings("T", {}, (), watch, None)
        me = cast("Any", self)
        self.runs = Runs(settings, self.ledger, me, log, me, me, lambda: self.now)

    # as Detection
    def on_found(self, message: FileFound) -> None:
        self.ledger.on_found(message.version, message.compare)

    def on_held_back(self, message: FileFound) -> None:
        self.on_session.append(message.version.path)

    def add(self, message: FileFound) -> None:
        self.added.append(message.version.path)
        self.on_found(message)

    def on_left(self, message: FileLeft) -> None:
        self.left[message.path] = message.reason

    # as WorkerPool and EventLoop
    def start(self, name: str, link: object, run: object, arguments: tuple[Any, ...]) -> Bench:
        self.tasks.append(arguments[1])
        return self

    def watch(self, worker: object, handler: Any, on_death: Any) -> None:
        self.report, self.end = handler, on_death

    def unwatch(self, worker: object) -> None: ...
    def discard(self, worker: object) -> None: ...
    def cause_of_death(self) -> str:
        return "was killed by SIGKILL"

    # steps
    def turn(self, is_ending: bool = False) -> int:
        """Let the runs do what is due; return the number of sealers so far."""
        self.runs.turn(self.now, is_ending)
        return len(self.tasks)

    def finish(self, result: RunSealed | RunUnsealed | None) -> None:
        """Let the sealer end."""
        if result is not None:
            self.report(result)
        self.end(self)

    def complete(self, *paths: bytes) -> None:
        for path in paths:
            entry = self.ledger._entries.latest[path]
            record(self.recorded, entry.version, bytes(16))
            self.ledger.on_completed(entry.token)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_a_marker_follows_the_manifest_which_follows_the_files(bench: Bench) -> None:
    for path in (b"run7/a/b", b"run7/Done.txt", b"run77/c"):
        bench.runs.on_found(found(path))
    assert bench.on_session == [b"run7/Done.txt"]  # before anything else: the next run finds it
    assert bench.turn() == 0
    assert bench.runs.due is None
    assert not bench.runs.is_over
    bench.complete(b"run7/a/b")
    assert bench.runs.due == bench.now
    assert bench.turn() == bench.turn() == 1
    assert bench.tasks[0] == SealTask(b"run7", FileVersion(b"run7/Done.txt", 0, 1), frozenset())
    assert not bench.added
    bench.finish(RunSealed(1, 1_000))
    assert bench.added == [b"run7/Done.txt"]
    assert bench.runs.is_over
    assert "run run7 is sealed: 1 file, 1.0 kB" in bench.lines


def test_what_is_found_while_it_is_sealed_is_waited_for(bench: Bench) -> None:
    bench.runs.on_found(found(b"run7/Done"))
    bench.turn()
    bench.runs.on_found(found(b"run7/late"))
    bench.finish(RunSealed(1, 1))
    assert bench.turn() == 1
    bench.complete(b"run7/late")
    assert bench.turn() == 2
    bench.finish(RunSealed(2, 2))
    assert bench.added == [b"run7/Done"]


def test_a_run_that_is_not_whole_is_tried_less_and_less_often_and_named_once(bench: Bench) -> None:
    bench.runs.on_found(found(b"run7/Done"))
    pauses = []
    for _ in range(9):
        bench.turn()
        bench.finish(MISSING)
        assert bench.runs.due is not None
        pauses.append(bench.runs.due - bench.now)
        bench.now = bench.runs.due
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    warnings = [line for line in bench.lines if "not sealed yet" in line]
    assert warnings == ["run run7 is not sealed yet: b is not on the topic; retrying"]


def test_at_the_end_it_is_tried_once_more_and_then_left(bench: Bench) -> None:
    bench.runs.on_found(found(b"run7/Done"))
    bench.turn()
    bench.finish(MISSING)
    assert bench.turn() == 1  # it is not due
    assert bench.turn(is_ending=True) == 2
    bench.finish(MISSING)
    assert bench.left == {b"run7/Done": "is held back, as run run7 is not sealed (b is not on the topic)"}
    assert bench.runs.is_over
    assert not bench.added


def test_a_sealer_that_dies_is_replaced(bench: Bench) -> None:
    bench.runs.on_found(found(b"Done"))
    bench.turn()
    bench.finish(None)
    assert "run . is not sealed yet: the process that seals it was killed by SIGKILL; retrying" in bench.lines
    bench.now += 1
    assert bench.turn() == 2


def test_inner_runs_are_sealed_before_outer_ones_and_two_markers_of_a_run_in_turn(bench: Bench) -> None:
    for path in (b"Done", b"run7/Done", b"run7/sub/Done", b"run7/Done2", b"run77/Done"):
        bench.runs.on_found(found(path))
    order = []
    while not bench.runs.is_over:
        bench.turn()
        task = bench.tasks[-1]
        order.append((task.marker.path, sorted(task.other_markers)))
        bench.finish(RunSealed(0, 0))
        bench.complete(task.marker.path)
    assert order == [
        (b"run7/sub/Done", []),
        (b"run7/Done", [b"run7/Done2"]),
        (b"run7/Done2", []),
        (b"run77/Done", []),
        (b"Done", []),
    ]


def test_a_marker_that_changes_is_sealed_anew_and_one_that_goes_is_forgotten(bench: Bench) -> None:
    bench.runs.on_found(found(b"run7/Done"))
    bench.turn()
    bench.runs.on_found(found(b"run7/Done", size=5))
    bench.finish(RunSealed(1, 1))
    assert not bench.added
    assert bench.turn() == 2
    assert bench.tasks[-1].marker.size == 5
    bench.finish(RunUnsealed("its marker has changed", is_marker_gone=True))
    assert bench.runs.is_over
    assert not bench.added


def test_a_recorded_marker_is_only_compared(bench: Bench) -> None:
    record(bench.recorded, FileVersion(b"run7/Done", 0, 1), bytes(16))
    bench.runs.on_found(found(b"run7/Done"))
    assert bench.runs.is_over


def test_nothing_is_sealed_on_a_topic_that_has_lost_files(bench: Bench) -> None:
    bench.runs.on_found(found(b"run7/Done"))
    bench.runs.is_topic_harmed = True
    assert bench.turn(is_ending=True) == 0
    assert "does not keep all that was sent to it" in bench.left[b"run7/Done"]
