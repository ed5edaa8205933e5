"""Releases beside an upload: when one begins, and what the log says, with a worker that the test plays."""

from __future__ import annotations

import logging
from typing import Any, cast

import pytest

from dfud.errors import WorkerError
from dfud.messages import Notice, ReleaseEnded, Stop
from dfud.uploading.options import ReleasePlan
from dfud.uploading.releases import Releases

NOTHING = ReleaseEnded(0, 0, 0.1)


class Bench:
    """What surrounds the releases: pool, event loop and worker at once."""

    def __init__(self, once: bool = False) -> None:
        self.now = 100.0
        self.n_started = 0
        self.lines: list[str] = []
        self.posted: list[Any] = []
        self.is_killed = False
        self.fault: WorkerError | None = None
        log = logging.Logger("test", logging.INFO)
        log.addFilter(lambda line: not self.lines.append(line.getMessage()))  # type: ignore[func-returns-value]
        plan = ReleasePlan(60.0, "deleted", cast("Any", None))
        me = cast("Any", self)
        self.channel = self.process = me
        self.n_written = 0
        self.releases = Releases(plan, once, me, log, me, self.write_tables, lambda: self.now)

    def write_tables(self) -> None:
        assert self.n_started == 0
        self.n_written += 1

    def start(self, *_: object) -> Bench:
        if self.fault is not None:
            raise self.fault
        self.n_started += 1
        return self

    def watch(self, worker: object, handler: Any, on_death: Any) -> None:
        self.report, self._on_death = handler, on_death

    def unwatch(self, worker: object) -> None: ...
    def discard(self, worker: object) -> None: ...
    def post(self, batch: list[Any]) -> None:
        self.posted += batch

    def kill(self) -> None:
        self.is_killed = True

    def cause_of_death(self) -> str:
        return "was killed by SIGKILL"

    def turn(self, has_sent_all: bool = False) -> int:
        """Let the releases do what is due; return the number of workers so far."""
        self.releases.turn(self.now, has_sent_all)
        return self.n_started

    def finish(self, *messages: Notice | ReleaseEnded) -> None:
        """Let the worker say this, and end."""
        for message in messages:
            self.report(message)
        self._on_death(self)


def test_one_begins_at_once_and_another_an_interval_after_its_end() -> None:
    bench = Bench()
    assert bench.turn() == 1
    bench.now += 100
    assert bench.turn() == 1
    assert bench.releases.due is None
    bench.finish(ReleaseEnded(2, 3_000, 0.1))
    assert bench.lines == ["deleted 2 files, 3.0 kB, which all receivers have"]
    assert bench.releases.due == bench.now + 60
    assert bench.turn() == 1
    bench.now += 60
    assert bench.turn(has_sent_all=True) == 2


def test_one_that_costs_much_is_followed_by_a_long_pause() -> None:
    bench = Bench()
    bench.turn()
    bench.finish(ReleaseEnded(0, 0, 30.0))
    assert bench.releases.due == bench.now + 600
    assert not bench.lines


def test_the_same_is_said_once_until_it_changes() -> None:
    bench = Bench()
    trouble = ReleaseEnded(0, 0, 0.1, "no broker")
    for messages in ([Notice(30, "a"), trouble], [Notice(30, "a"), trouble], [NOTHING], [Notice(30, "a")]):
        bench.turn()
        bench.finish(*messages)
        bench.now += 60
    failure = "cannot release files: the process that does it was killed by SIGKILL; retrying in 60 s"
    assert bench.lines == [
        "a", "cannot release files: no broker; retrying in 60 s", "files can be released again", "a", failure,
    ]  # fmt: skip


def test_a_process_that_cannot_be_started_is_tried_again() -> None:
    bench = Bench()
    bench.fault = WorkerError("cannot start releaser: no memory")
    assert bench.turn() == 0
    assert bench.lines == ["cannot release files: cannot start releaser: no memory; retrying in 60 s"]
    assert bench.releases.due == bench.now + 60
    assert bench.releases.is_over


def test_an_upload_that_ends_stops_it_and_kills_it_in_the_end() -> None:
    bench = Bench()
    bench.turn()
    bench.releases.stop()
    bench.releases.stop()
    assert bench.posted == [Stop()]
    assert not bench.is_killed
    bench.now += 10
    assert bench.releases.due is not None
    assert bench.releases.due <= bench.now
    bench.turn()
    assert bench.is_killed
    bench.finish()
    assert not bench.lines
    assert bench.turn() == 1
    assert bench.releases.due is None


@pytest.mark.parametrize("is_stopped", [False, True])
def test_an_upload_that_goes_once_waits_for_the_one_at_the_end(is_stopped: bool) -> None:
    bench = Bench(once=True)
    assert bench.turn() == 0
    assert not bench.releases.is_over
    if is_stopped:
        bench.releases.stop()
    assert bench.turn(has_sent_all=True) == bench.n_written == (0 if is_stopped else 1)
    assert bench.releases.is_over == is_stopped
    if not is_stopped:
        bench.finish(ReleaseEnded(0, 0, 0.1, "no broker"))
        assert bench.lines == ["cannot release files: no broker; the next run tries again"]
    assert bench.releases.is_over
    assert bench.turn(has_sent_all=True) == (0 if is_stopped else 1)
