"""Workers that do nothing are named once, with the reason: real processes, and a disk that is made up."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import time
from collections.abc import Iterator
from typing import Any, cast

import pytest

from dfud.processes.process_state import ProcessState, process_state
from dfud.processes.workers import Worker
from dfud.uploading.stall_check import StallCheck


@pytest.fixture
def worker() -> Iterator[Worker[Any, Any]]:
    process = multiprocessing.get_context("fork").Process(target=time.sleep, args=(600,), name="producer-0")
    process.start()
    yield Worker(process, cast("Any", None))
    process.kill()
    process.join()


class Bench:
    """A check of one worker, and its clock."""

    def __init__(
        self, worker: Worker[Any, Any], caplog: pytest.LogCaptureFixture, look: Any = process_state
    ) -> None:
        self.workers = [worker]
        self.now = 100.0
        log = logging.Logger("test")
        log.addHandler(caplog.handler)
        self._lines = caplog
        self.check = StallCheck(lambda: self.workers, log, lambda: self.now, look)

    def pass_s(self, seconds: float) -> list[str]:
        """Let so much time pass; return what was logged."""
        self._lines.clear()
        end = self.now + seconds
        while self.now < end:
            self.now += 1.0
            self.check.check_if_due(self.now)
        return self._lines.messages


def send(worker: Worker[Any, Any], number: signal.Signals, state: str) -> None:
    """Send a signal to a worker; wait until it is in a state."""
    pid = worker.process.pid
    assert pid is not None
    os.kill(pid, number)
    while process_state(pid)[0] != state:  # type: ignore[index]
        time.sleep(0.001)


def test_a_worker_that_was_stopped_is_named_once(
    worker: Worker[Any, Any], caplog: pytest.LogCaptureFixture
) -> None:
    bench = Bench(worker, caplog)
    assert bench.pass_s(60) == []
    send(worker, signal.SIGSTOP, "T")
    cause = f"was stopped by a signal: kill -CONT {worker.process.pid} lets it go on"
    assert bench.pass_s(10) == [f"producer-0 {cause}"]
    assert [(stall.worker, stall.cause) for stall in bench.check.stalls] == [("producer-0", cause)]
    assert bench.pass_s(60) == []
    send(worker, signal.SIGCONT, "S")
    assert bench.pass_s(5) == ["producer-0 works again"]
    assert bench.check.stalls == ()


def test_one_that_was_replaced_is_forgotten(worker: Worker[Any, Any], caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench(worker, caplog)
    send(worker, signal.SIGSTOP, "T")
    bench.pass_s(10)
    bench.workers.clear()
    assert bench.pass_s(5) == []
    assert bench.check.stalls == ()


def test_one_that_waits_for_a_disk_has_stalled_after_30_s_without_progress(
    worker: Worker[Any, Any], caplog: pytest.LogCaptureFixture
) -> None:
    states = [ProcessState("D", ticks) for ticks in range(5)] + [ProcessState("D", 5)] * 7
    bench = Bench(worker, caplog, lambda _: states.pop(0))
    assert bench.pass_s(55) == []
    (line,) = bench.pass_s(5)
    assert "producer-0 has waited 30 s for a disk" in line


def test_the_state_of_a_process_is_read_whatever_its_name() -> None:
    pid = os.fork()
    if not pid:
        with open("/proc/self/comm", "w") as file:
            file.write("a) R 1 (b")
        signal.pause()
    try:
        while process_state(pid) is None or process_state(pid)[0] != "S":  # type: ignore[index]
            time.sleep(0.001)
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    assert process_state(pid) is None
