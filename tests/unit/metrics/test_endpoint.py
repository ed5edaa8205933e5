"""The process that serves the metrics: it starts, dies and is stopped, and the run goes on."""

from __future__ import annotations

import logging
import os
import re
import signal
import socket
import urllib.request
from collections.abc import Iterator

import msgspec
import pytest

from dfud.errors import UsageError
from dfud.logs.upload_status import OldestFile, UploadStatus
from dfud.metrics.endpoint import MetricsEndpoint
from dfud.processes.workers import WorkerPool
from tests.helpers.uploading import wait_until
from tests.unit.metrics.test_families import NEW


class Nothing:
    def close(self) -> None:
        pass


class Bench:
    """An endpoint, its clock, and the pool of its process."""

    def __init__(self) -> None:
        self.now = 100.0
        self.pool = WorkerPool(Nothing())
        self.endpoint = MetricsEndpoint("127.0.0.1", 0, lambda: self.now)
        self.endpoint.log = logging.getLogger("test")
        self.endpoint.use(self.pool)

    def turn(self, seconds: float, status: UploadStatus = NEW) -> None:
        self.now += seconds
        self.endpoint.turn(self.now, lambda: status)

    def get(self) -> str:
        with urllib.request.urlopen(self.endpoint.url, timeout=30) as answer:
            text: str = answer.read().decode()
            return text

    def pid(self) -> int:
        """Return the process id of the server."""
        (process,) = self.pool._started
        return process.pid or 0


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    bench.pool.shut_down()


def test_it_serves_the_last_state_that_it_was_told(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    bench.turn(0)
    assert 'dfud_run_state{directory="' in bench.get()
    assert bench.endpoint.due == 105.0
    bench.turn(4.9, msgspec.structs.replace(NEW, state="finishing"))
    assert re.search(r'dfud_run_state.*"starting".* 1.0', bench.get())
    bench.turn(0.1, msgspec.structs.replace(NEW, state="running"))
    wait_until(lambda: re.search(r'dfud_run_state.*"running".* 1.0', bench.get()))
    assert caplog.messages == [f"metrics are at {bench.endpoint.url}"]


def test_a_server_that_dies_is_started_again(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    bench.turn(0)
    for _ in range(2):
        os.kill(bench.pid(), signal.SIGKILL)
        wait_until(lambda: bench.pool._started[0].exitcode is not None)
        bench.turn(5)
        assert not bench.pool._started, "not at once: it may die for a reason"
        bench.turn(55)
        assert "dfud_run_info" in bench.get()
    assert caplog.messages == [
        "metrics was killed by SIGKILL: there are no metrics for up to 60 s; uploading continues"
    ]


def test_a_server_that_is_stopped_holds_nothing_up(bench: Bench) -> None:
    bench.turn(0)
    assert "dfud_run_info" in bench.get()
    os.kill(bench.pid(), signal.SIGSTOP)
    long = msgspec.structs.replace(NEW, oldest=OldestFile("x" * 40_000, "", 1.0))
    for _ in range(50):
        bench.turn(5, long)
    assert bench.endpoint._worker is not None
    assert bench.endpoint._worker.channel.backlog == 1
    os.kill(bench.pid(), signal.SIGCONT)

    def is_up_to_date() -> bool:
        bench.turn(5)
        return "oldest" not in bench.get()

    wait_until(is_up_to_date)


def test_a_port_that_is_in_use_is_refused_in_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(UsageError) as caught:
            MetricsEndpoint("127.0.0.1", port)
    assert str(caught.value) == (
        f"cannot listen at --metrics_port 127.0.0.1:{port}: Address already in use; give a free port, "
        "and an address of this machine"
    )


def test_it_listens_where_it_was_told_to() -> None:
    endpoint = MetricsEndpoint("::1", 0)
    assert re.fullmatch(r"http://\[::1\]:\d+/metrics", endpoint.url)
    endpoint._listener.close()
    with pytest.raises(UsageError, match="Cannot assign requested address"):
        MetricsEndpoint("203.0.113.1", 0)
