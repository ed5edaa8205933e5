"""What systemd is told of a run, over a real socket: when, how often, and what is said again after a failure."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from dfud.logs.upload_status import (
    Acknowledged,
    Backlog,
    BrokerStatus,
    CanaryStatus,
    Completed,
    Failures,
    Stall,
    UploadStatus,
    WatchStatus,
)
from dfud.processes.service_manager import ServiceManager
from dfud.uploading.notifier import Notifier, status_text
from tests.helpers.service_manager import NotifySocket, in_folder
from tests.helpers.statuses import upload_status

WATCHDOG_S = 30.0
PING = "WATCHDOG=1"
EXTENSION = "EXTEND_TIMEOUT_USEC=60000000"
RUNNING = upload_status(watch=WatchStatus(True))


def changed(status: UploadStatus = RUNNING, **fields: Any) -> UploadStatus:
    return msgspec.structs.replace(status, **fields)


class Bench:
    """A notifier, its clock, and the socket of systemd."""

    def __init__(self, folder: Path, log: logging.Logger) -> None:
        self.listener: NotifySocket = in_folder(folder)
        self.now = 100.0
        self.notifier = Notifier(ServiceManager(self.listener.address, WATCHDOG_S), log, lambda: self.now)

    def step(self, now: float, status: UploadStatus = RUNNING) -> list[str]:
        """Let the notifier have its turn; return what it has said, without the text for people."""
        self.now = now
        self.notifier.turn(now, lambda: status)
        return [line for line in self.listener.received() if not line.startswith("STATUS=")]


@pytest.fixture
def bench(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Iterator[Bench]:
    log = logging.Logger("test")
    log.addHandler(caplog.handler)
    bench = Bench(tmp_path, log)
    yield bench
    bench.listener.close()


def test_a_run_is_ready_when_it_watches_and_gives_signs_of_life_from_then_on(bench: Bench) -> None:
    early = changed(watch=WatchStatus(False))
    assert bench.step(100.0, early) == []
    assert bench.notifier.due <= 100.25, "whoever has started the service waits"
    assert bench.step(100.5) == ["READY=1", "WATCHDOG_USEC=30000000"]
    assert bench.notifier.due <= 100.5 + WATCHDOG_S / 2
    assert [bench.step(now) for now in (105.4, 105.5, 110.5)] == [[], [PING], [PING]]


def test_a_run_that_waits_for_a_broker_is_ready_and_not_watched_until_its_tables_are_read(bench: Bench) -> None:
    waiting = changed(state="starting", broker=BrokerStatus("unreachable", "no broker reached at a:1"))
    assert bench.step(100.0, waiting) == ["READY=1", "WATCHDOG_USEC=0"]
    assert bench.step(110.0, waiting) == []
    assert bench.step(500.0) == ["WATCHDOG_USEC=30000000"]
    assert bench.step(505.0) == [PING]


AWAY = BrokerStatus("unreachable", "no answer")


@pytest.mark.parametrize(
    ("status", "lives"),
    [
        pytest.param(changed(stalls=(Stall("watcher", "was stopped by a signal", "now"),)), False, id="stopped"),
        pytest.param(changed(canary=CanaryStatus(10.0, cause="?", is_stuck=True)), False, id="blind"),
        pytest.param(changed(canary=CanaryStatus(10.0, cause="?")), True, id="the broker refuses the canary"),
        pytest.param(
            changed(canary=CanaryStatus(10.0, cause="?", is_stuck=True), broker=AWAY), True, id="no broker"
        ),
    ],
)
def test_a_run_of_which_a_worker_is_stuck_gives_no_sign_of_life(
    bench: Bench, status: UploadStatus, lives: bool
) -> None:
    bench.step(100.0)
    assert bench.step(105.0, status) == ([PING] if lives else [])
    assert bench.step(110.0) == [PING]


def test_a_run_that_finishes_gets_more_time_only_while_something_is_acknowledged(bench: Bench) -> None:
    bench.step(100.0)
    assert bench.step(105.0, changed(state="finishing")) == ["STOPPING=1", EXTENSION, PING]
    assert bench.step(110.0, changed(state="finishing")) == [PING]
    sending = changed(state="finishing", acknowledged=Acknowledged(1, 1))
    assert bench.step(115.0, sending) == [EXTENSION, PING]
    assert bench.step(120.0, sending) == [PING]


def test_an_end_without_a_turn_in_between_is_told(bench: Bench) -> None:
    bench.step(100.0)
    bench.notifier.end(changed(state="ended", exit_status=0))
    assert bench.listener.received() == [
        "STOPPING=1",
        "STATUS=ended; 0 files (0 bytes) completed; broker unknown",
    ]


def test_the_text_is_sent_when_it_changes_and_at_most_every_5_s(bench: Bench) -> None:
    bench.step(100.0)
    bench.listener.said.clear()
    for now, files in ((101.0, 1), (104.9, 2), (105.0, 3), (110.0, 3), (115.0, 4)):
        bench.step(now, changed(completed=Completed(files, files, 10 * files)))
    assert [line for line in bench.listener.said if line != PING] == [
        "STATUS=3 files (30 bytes) completed; broker unknown",
        "STATUS=4 files (40 bytes) completed; broker unknown",
    ]


def test_what_could_not_be_said_is_said_later_and_the_failure_logged_once(
    bench: Bench, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bench.listener.close()
    os.unlink(bench.listener.address)
    for now in (100.0, 100.25, 100.5):
        bench.notifier.turn(now, lambda: RUNNING)
    bench.listener = in_folder(tmp_path)
    assert bench.step(101.0) == ["READY=1", "WATCHDOG_USEC=30000000"]
    assert [record.getMessage() for record in caplog.records] == [
        f"cannot notify systemd at {bench.listener.address}: No such file or directory; retrying",
        "systemd can be notified again",
    ]


@pytest.mark.parametrize(
    ("status", "text"),
    [
        pytest.param(
            changed(state="starting", broker=BrokerStatus("unreachable", "no broker reached at a:1")),
            "watching; waiting for a broker: no broker reached at a:1",
            id="no broker",
        ),
        pytest.param(changed(state="starting", watch=WatchStatus(False)), "starting", id="start"),
        pytest.param(
            changed(
                completed=Completed(1200, 1300, 5_600_000),
                backlog=Backlog(files=1, bytes=2000),
                failures=Failures(failed=2),
                broker=BrokerStatus("slow", "throttled"),
            ),
            "1,200 files (5.6 MB) completed; 1 file (2.0 kB) to be sent; 2 files could not be delivered; "
            "broker slow (throttled)",
            id="running",
        ),
        pytest.param(
            changed(state="finishing", stalls=(Stall("chunker-0", "was stopped\n", "now"),)),
            "chunker-0 was stopped\\n; finishing; 0 files (0 bytes) completed; broker unknown",
            id="stalled",
        ),
    ],
)
def test_the_text_for_people(status: UploadStatus, text: str) -> None:
    assert status_text(status) == text


def test_the_text_is_short_enough_for_systemd() -> None:
    assert len(status_text(changed(broker=BrokerStatus("unreachable", "x" * 1000)))) == 500
