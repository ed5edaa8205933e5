"""What the supervisor does for runs: real channels and event loop; the test plays the process that places them."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from dfud.downloading.runs.outlet import PlacerProcess, RunOutlet
from dfud.messages import FinishRuns, Notice, RunsFinished, RunsWaiting, Stop
from dfud.processes import links
from dfud.processes.event_loop import EventLoop, UserCommands
from tests.helpers.fake_workers import FakePool, FakeUser, FakeWorker


class Bench:
    def __init__(self) -> None:
        self.pool = FakePool()
        self.user = FakeUser()
        self.workers: list[FakeWorker] = []
        self.logged: list[str] = []
        log = logging.Logger("test")
        handler = logging.Handler()
        handler.emit = lambda record: self.logged.append(record.getMessage())  # type: ignore[method-assign]
        log.addHandler(handler)
        self.outlet = RunOutlet(self.start, self.pool.discard, log)  # type: ignore[arg-type]
        commands = UserCommands(lambda _: None, lambda: None, lambda: None)
        self.outlet.run_in(EventLoop(self.user.context(), commands, lambda: 100.0))

    def start(self) -> PlacerProcess:
        self.workers.append(self.pool.start("runs", links.RUN_PLACER))
        return self.workers[-1]

    def finish(self, is_abandoned: bool = False) -> bool:
        self.workers[-1].process.exitcode = 0  # type: ignore[misc]
        return self.outlet.finish(lambda: is_abandoned)


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    yield made
    made.pool.close_all()
    made.user.close()


@pytest.mark.parametrize("n_left", [0, 2])
def test_the_end_waits_for_what_is_whole_and_says_what_is_not(bench: Bench, n_left: int) -> None:
    bench.workers[0].report(Notice(logging.INFO, "run run7 is whole"), RunsWaiting(1), RunsFinished(n_left))
    assert bench.outlet.summary() == "0 runs are not whole yet"
    assert bench.finish() == bool(n_left)
    assert bench.outlet.summary() == "1 run is not whole yet"
    assert bench.logged == ["run run7 is whole"]
    assert bench.workers[0].received() == [FinishRuns(), Stop()]


def test_a_process_that_dies_at_the_end_is_replaced_by_one_that_finishes(bench: Bench) -> None:
    bench.workers[0].die()
    start = bench.outlet._start

    def start_finishing() -> PlacerProcess:
        worker = start()
        bench.workers[-1].report(RunsFinished(0))
        bench.workers[-1].process.exitcode = 0  # type: ignore[misc]
        return worker

    bench.outlet._start = start_finishing
    assert not bench.outlet.finish(lambda: False)
    assert bench.logged == ["runs was killed by SIGKILL: restarting it"]
    assert bench.workers[1].received() == [FinishRuns(), Stop()]


def test_the_user_may_give_up(bench: Bench) -> None:
    assert bench.finish(is_abandoned=True)
