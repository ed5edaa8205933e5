"""Worker processes: how they start, what they keep open, and how they end."""

from __future__ import annotations

import contextlib
import logging
import os
import resource
import socket
import time
from collections.abc import Iterator

import pytest

from dfud.errors import WorkerError
from dfud.messages import FromWatcher, Notice, ToWatcher
from dfud.processes import links
from dfud.processes.channel import Channel, PeerGoneError
from dfud.processes.workers import WorkerPool
from tests.helpers.descriptors import count_descriptors

ToSupervisor = Channel[FromWatcher, ToWatcher]


@pytest.fixture
def pool() -> Iterator[WorkerPool]:
    with socket.socket() as lock:
        made = WorkerPool(lock)
        yield made
        made.shut_down()


def sleep(name: str, supervisor_pid: int, channel: ToSupervisor) -> None:
    time.sleep(60)


@contextlib.contextmanager
def no_more_descriptors() -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_a_worker_that_cannot_be_started_is_one_line(pool: WorkerPool) -> None:
    with (
        no_more_descriptors(),
        pytest.raises(WorkerError, match=r"^cannot start watcher: Too many open files;"),
    ):
        pool.start("watcher", links.WATCHER, sleep, ())


def test_a_worker_knows_its_name_and_its_supervisor(pool: WorkerPool) -> None:
    def report(name: str, supervisor_pid: int, channel: ToSupervisor, more: str) -> None:
        channel.send([Notice(0, f"{name} {supervisor_pid == os.getppid()} {more}")])

    worker = pool.start("watcher", links.WATCHER, report, ["argument"])
    assert worker.channel.receive() == [Notice(0, "watcher True argument")]
    assert worker.cause_of_death() == "ended with status 0"


def test_a_bug_in_a_worker_is_reported_with_its_place(pool: WorkerPool) -> None:
    def divide(name: str, supervisor_pid: int, channel: ToSupervisor) -> None:
        channel.send([Notice(0, str(1 // 0))])

    worker = pool.start("watcher", links.WATCHER, divide, ())
    line, trace = worker.channel.receive()
    assert isinstance(trace, Notice)
    place = f"test_workers.py:{divide.__code__.co_firstlineno + 1}"
    error = "ZeroDivisionError: integer division or modulo by zero"
    assert line == Notice(logging.ERROR, f"internal error in watcher: {error} ({place}); please report it")
    assert (trace.level, trace.text.splitlines()[0]) == (logging.DEBUG, "Traceback (most recent call last):")
    assert worker.cause_of_death() == "ended with status 70"


def test_what_the_system_refuses_is_not_called_a_bug(pool: WorkerPool) -> None:
    def open_nothing(name: str, supervisor_pid: int, channel: ToSupervisor) -> None:
        os.open("/nowhere", os.O_RDONLY)

    line, _ = pool.start("watcher", links.WATCHER, open_nothing, ()).channel.receive()
    assert isinstance(line, Notice)
    assert line.text.startswith("watcher cannot go on: No such file or directory: /nowhere (test_workers.py:")


def test_a_worker_sees_that_its_channel_is_closed_whatever_was_started_after_it(pool: WorkerPool) -> None:
    """Later workers inherit the supervisor's end, and close it."""

    def wait_for_end(name: str, supervisor_pid: int, channel: ToSupervisor) -> None:
        try:
            channel.receive()
        except PeerGoneError:
            os._exit(5)

    first = pool.start("first", links.WATCHER, wait_for_end, ())
    pool.start("second", links.WATCHER, sleep, ())
    pool.close(first.channel)
    first.process.join(30)
    assert first.process.exitcode == 5


def test_a_child_closes_what_is_not_its_own(pool: WorkerPool) -> None:
    def report(name: str, supervisor_pid: int, channel: ToSupervisor, ends: list[socket.socket]) -> None:
        channel.send([Notice(0, " ".join("closed" if end.fileno() == -1 else "open" for end in ends))])

    ends = [*socket.socketpair(), *socket.socketpair()]
    for end in ends[:3]:
        pool.close_in_children(end)
    one = pool.start("one", links.WATCHER, report, [ends], keep_open=[ends[1]])
    assert one.channel.receive() == [Notice(0, "closed open closed open")]
    pool.close(ends[0])
    other = pool.start("other", links.WATCHER, report, [ends[1:]])
    assert other.channel.receive() == [Notice(0, "closed closed open")]
    for end in ends[1:]:
        end.close()


def test_nothing_is_left_of_those_that_have_died(pool: WorkerPool) -> None:
    before = count_descriptors()
    kept = [pool.start("sleeper", links.WATCHER, sleep, ()) for _ in range(20)]  # so that nothing is collected
    for worker in kept:
        worker.process.kill()
        pool.discard(worker)
    assert count_descriptors() == before
    kept = [pool.start("sleeper", links.WATCHER, sleep, ()) for _ in range(3)]
    pool.shut_down()
    assert count_descriptors() == before
    assert pool._close_in_children, "the lock is held until the process ends"


def test_all_that_were_started_can_be_killed(pool: WorkerPool) -> None:
    started = [pool.start(f"sleeper-{number}", links.WATCHER, sleep, ()) for number in range(2)]
    pool.kill_all()
    for worker in started:
        assert worker.process.exitcode == -9
        assert worker.cause_of_death() == "was killed by SIGKILL"
        with pytest.raises(ProcessLookupError):
            os.kill(worker.process.pid or 0, 0)
    pool.kill_all()


def test_a_worker_may_outlive_the_others(pool: WorkerPool) -> None:
    first = pool.start("watcher", links.WATCHER, sleep, ())
    last = pool.start("announcer", links.WATCHER, sleep, (), outlives=True)
    pool.kill_all()
    assert first.process.exitcode is not None
    assert last.process.exitcode is None
    pool.shut_down()
    with pytest.raises(ValueError, match="closed"):
        last.process.is_alive()
