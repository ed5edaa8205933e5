"""Starting processes where there is no room for them, and ending them."""

from __future__ import annotations

import os
import resource
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from dfud.errors import WorkerError
from dfud.messages import FromWatcher, ToWatcher
from dfud.processes import links
from dfud.processes.channel import Channel
from dfud.processes.workers import WorkerPool


def sleep(name: str, supervisor_pid: int, channel: Channel[FromWatcher, ToWatcher]) -> None:
    time.sleep(60)


@contextmanager
def no_more_descriptors() -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_a_worker_that_cannot_be_started_is_told_in_a_line() -> None:
    with socket.socket() as lock:
        workers = WorkerPool(lock)
    with (
        no_more_descriptors(),
        pytest.raises(WorkerError, match=r"^cannot start watcher: Too many open files;"),
    ):
        workers.start("watcher", links.WATCHER, sleep, ())


def test_all_that_were_started_can_be_killed() -> None:
    lock = socket.socket()
    workers = WorkerPool(lock)
    started = [workers.start(f"sleeper-{number}", links.WATCHER, sleep, ()) for number in range(2)]
    workers.kill_all()
    for worker in started:
        assert worker.process.exitcode == -9
        with pytest.raises(ProcessLookupError):
            os.kill(worker.process.pid or 0, 0)
        worker.channel.close()
    workers.kill_all()
    lock.close()
