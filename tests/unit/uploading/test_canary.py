"""Canaries: who is to blame for one that does not come round, and that a lane may be busy."""

from __future__ import annotations

import json
import logging
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from dfud.logs.layout import LogsFolder
from dfud.logs.upload_status import CanaryStatus
from dfud.messages import CanaryDelivered, CanaryFound, CanaryTask
from dfud.uploading.canary import Canary
from dfud.uploading.fleet import Fleet
from tests.helpers.fake_workers import FakeLane, FakePool

INTERVAL_S = 10.0


class Bench:
    """A canary, two fake lanes, and a clock."""

    def __init__(self, directory: Path, caplog: pytest.LogCaptureFixture) -> None:
        self.now = 100.0
        self.folder = LogsFolder(os.fspath(directory), "topic")
        os.mkdir(self.folder.path)
        self.pool = FakePool()
        self.lanes = [FakeLane(number, self.pool) for number in range(2)]
        fleet = Fleet(
            cast("Any", self.pool), self.folder, cast("Any", None), cast("Any", None), cast("Any", self.lanes)
        )
        log = logging.Logger("test")
        log.addHandler(caplog.handler)
        self._lines = caplog
        self.canary = Canary(INTERVAL_S, self.folder, fleet, log, lambda: self.now, lambda: "now")

    def next(self) -> list[str]:
        """Let an interval pass; return what was logged meanwhile."""
        self.canary.turn(self.now)
        lines = self._lines.messages
        self._lines.clear()
        self.now += INTERVAL_S
        return lines

    def answer(self, lanes: tuple[int, ...] = (0, 1), reason: str = "") -> None:
        """Let the watcher find the last canary, and these lanes deliver it."""
        self.canary.on_found(CanaryFound())
        for lane in lanes:
            for task in self.lanes[lane].chunker.received():
                assert isinstance(task, CanaryTask)
                self.canary.on_delivered(CanaryDelivered(task.number, task.lane, reason))


@pytest.fixture
def bench(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Iterator[Bench]:
    bench = Bench(tmp_path, caplog)
    yield bench
    bench.pool.close_all()


def test_one_comes_round_each_interval(bench: Bench) -> None:
    for number in (1, 2, 3):
        assert bench.next() == []
        assert json.loads(Path(bench.folder.canary).read_bytes())["canary"] == number
        bench.now += 0.25
        bench.answer()
    assert bench.canary.status == CanaryStatus(INTERVAL_S, 3, 3, "now", 10.25)
    bench.canary.end()
    assert not os.path.exists(bench.folder.canary)
    assert bench.canary.due is None


def test_a_watcher_that_finds_nothing_is_blamed_once(bench: Bench) -> None:
    assert bench.next() + bench.next() == []
    assert bench.next() == ["the canary has not come round: the watcher has not found it"]
    assert bench.next() == []
    assert bench.canary.status.cause == "the watcher has not found it"
    assert bench.canary.status.is_stuck
    bench.answer()
    assert bench.next() == ["the canary comes round again, in 10.000 s"]
    assert (bench.canary.status.cause, bench.canary.status.is_stuck) == ("", False)


def test_a_lane_that_does_not_move_is_blamed(bench: Bench) -> None:
    lines = []
    for _ in range(3):
        lines += bench.next()
        bench.answer((0,))
    assert lines == ["the canary has not come round: chunker-1 has not read it, or producer-1 not delivered it"]


def test_a_lane_that_is_busy_may_be_late(bench: Bench) -> None:
    for _ in range(5):
        assert bench.next() == []
        bench.answer((0,))
        bench.lanes[1].progress += 1
    assert bench.next() + bench.next() != []


def test_a_reason_of_the_broker_is_passed_on(bench: Bench) -> None:
    lines = []
    for _ in range(3):
        lines += bench.next()
        bench.answer(reason="no such topic")
    assert lines == ["the canary has not come round: producer-0 could not deliver it: no such topic"]


def test_one_that_cannot_be_written_is_named(bench: Bench) -> None:
    shutil.rmtree(bench.folder.path)
    assert bench.next() == [
        f"the canary has not come round: {bench.folder.canary} cannot be written: No such file or directory"
    ]
