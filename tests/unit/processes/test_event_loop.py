"""The event loop with real workers, channels, pipes and signals, and a clock of the test's."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any, cast

import pytest

from dfud.display.activity import Activity
from dfud.errors import WorkerError
from dfud.logs.log_lines import JSON
from dfud.logs.logfile import LogOptions
from dfud.messages import Allowance, FolderMovedIn, FromWatcher, Stop, Sweep, SweepDone, ToWatcher, WatchStarted
from dfud.processes import links
from dfud.processes.channel import Channel
from dfud.processes.console import CommandInput, ConsoleOutput
from dfud.processes.event_loop import EventLoop, RunContext, UserCommands
from dfud.processes.signals import SignalPipe
from dfud.processes.worker import init_worker
from dfud.processes.workers import Worker, WorkerPool

ToSupervisor = Channel[FromWatcher, ToWatcher]
WatcherWorker = Worker[ToWatcher, FromWatcher]


class Commands(CommandInput):
    """Commands from a pipe that behaves like the terminal of a job that a test puts into the background."""

    background = False

    @property
    def is_in_background(self) -> bool:
        return self.background


class Bench:
    """An event loop, and the user and the clock that it listens to."""

    def __init__(self, signals: SignalPipe, update_seconds: float = -1) -> None:
        self.now = 1000.0
        self.calls: list[str] = []  # what the user asked for
        self.commands_reader, self.commands_writer = os.pipe()
        self.output_reader, self.output_writer = os.pipe()
        os.set_blocking(self.output_reader, False)
        self.output = ConsoleOutput(self.output_writer)
        self.commands = Commands(self.commands_reader)
        self.pool = WorkerPool(socket.socket())
        self.loop = EventLoop(
            RunContext(signals, self.output, self.commands, update_seconds),
            UserCommands(
                lambda reason: self.calls.append(f"quit: {reason}"),
                lambda: self.calls.append("abandon"),
                lambda: self.calls.append("check"),
            ),
            lambda: self.now,
        )

    def close(self) -> None:
        self.pool.kill_all()
        for item in self.pool._close_in_children:
            item.close()
        self.output.close()
        for descriptor in (
            self.commands_reader, self.commands_writer, self.output_reader, self.output_writer
        ):  # fmt: skip
            with contextlib.suppress(OSError):
                os.close(descriptor)
        self.loop._selector.close()

    def start(self, run: Callable[..., None], *args: Any) -> WatcherWorker:
        return self.pool.start("watcher", links.WATCHER, run, args)

    def say(self, text: str) -> None:
        os.write(self.commands_writer, text.encode())

    def printed(self) -> str:
        data = b""
        with contextlib.suppress(BlockingIOError):
            while part := os.read(self.output_reader, 1 << 16):
                data += part
        return data.decode()

    def poll(self) -> None:
        """Let the loop handle what is there, without waiting."""
        self.loop.run_once([self.now])


@pytest.fixture
def bench(signals: SignalPipe) -> Iterator[Bench]:
    with contextlib.closing(Bench(signals)) as made:
        yield made


# What goes on


@pytest.mark.parametrize(
    ("log", "is_shown"),
    [
        pytest.param(LogOptions(logging.INFO, logging.INFO), True, id="lines-for-people"),
        pytest.param(LogOptions(logging.WARNING, logging.INFO), False, id="quiet"),
        pytest.param(LogOptions(logging.INFO, logging.INFO, format=JSON), False, id="lines-for-machines"),
    ],
)
def test_what_goes_on_is_for_who_wants_to_read(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, log: LogOptions, is_shown: bool
) -> None:
    shows: list[object] = []
    monkeypatch.setattr(bench.output, "show_live", shows.append)
    RunContext(cast("Any", None), bench.output, bench.commands, -1).show_live(log, lambda _: Activity(()))
    assert bool(shows) == is_shown


def test_what_goes_on_is_drawn_by_the_loop(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[object] = []
    monkeypatch.setattr(bench.output, "wake", lambda: calls.append("wake"))
    monkeypatch.setattr(bench.output, "turn", calls.append)
    monkeypatch.setattr(bench.output, "on_enter", lambda n: calls.append(f"{n} sent off"))
    bench.poll()
    assert calls == [bench.now], "nothing has happened, but it may be time"
    bench.commands.n_echoed = 1
    bench.say("check\n")
    bench.poll()
    assert calls[1:] == ["wake", "0 sent off", bench.now], "a pipe has no echo"


# The hint


@pytest.mark.parametrize(
    ("ours", "level", "is_background", "is_shown"),
    [
        pytest.param("both", logging.INFO, False, True, id="at-a-terminal"),
        pytest.param("both", logging.WARNING, False, False, id="quiet"),
        pytest.param("both", logging.INFO, True, False, id="in-the-background"),
        pytest.param("input", logging.INFO, False, False, id="output-in-a-pipe"),
        pytest.param("output", logging.INFO, False, False, id="input-from-a-pipe"),
    ],
)
def test_the_hint_is_for_who_can_type(
    signals: SignalPipe, ours: str, level: int, is_background: bool, is_shown: bool
) -> None:
    ends = [*os.openpty(), *os.pipe()]
    try:
        output = ConsoleOutput(ends[3] if ours == "input" else ends[1])
        commands = Commands(ends[2] if ours == "output" else ends[1])
        commands.background = is_background
        RunContext(signals, output, commands, -1).show_hint(level)
        output.close()
        reader = ends[2] if ours == "input" else ends[0]
        os.set_blocking(reader, False)
        shown = b""
        with contextlib.suppress(BlockingIOError):
            shown = os.read(reader, 1000)
        hint = b'type "check" or "c" to see what is in progress, "quit" or "q" to end\r\n'
        assert shown == (hint if is_shown else b"")
    finally:
        for end in ends:
            os.close(end)


# Waiting


@pytest.mark.parametrize("due", [[0.0], [1000.0], [None, 999.0, 2000.0]])
def test_it_does_not_wait_if_something_is_due(bench: Bench, due: list[float | None]) -> None:
    began = time.monotonic()
    bench.loop.run_once(due)
    assert time.monotonic() - began < 5


def test_it_waits_until_the_first_time_that_is_due(bench: Bench) -> None:
    began = time.monotonic()
    bench.loop.run_once([None, 1060.0, 1000.1])
    assert 0.09 < time.monotonic() - began < 30


def test_a_very_distant_time_is_no_error(bench: Bench) -> None:
    bench.say("check\n")
    bench.loop.run_once([1e300])
    assert bench.calls == ["check"]


def test_dots_appear_at_their_interval(signals: SignalPipe) -> None:
    with contextlib.closing(Bench(signals, update_seconds=5)) as bench:
        printed = []
        for now in (1000.0, 1004.9, 1005.0, 1005.1, 1009.9, 1100.0, 1104.0, 1105.0):
            bench.now = now
            bench.poll()
            printed.append(bench.printed())
    assert printed == ["", "", ".\n", "", "", ".\n", "", ".\n"]


def test_what_the_output_did_not_take_is_written_as_it_is_read(bench: Bench) -> None:
    bench.output.write_line("x" * 300_000)
    printed = bench.printed()
    while bench.output.has_pending:
        bench.loop.run_once([bench.now + 60])  # it wakes up as soon as there is room
        printed += bench.printed()
    assert printed == "x" * 300_000 + "\n"


# The user


@pytest.mark.parametrize(
    ("received", "calls"),
    [
        (["SIGTERM"], ["quit: SIGTERM"]),
        (["SIGHUP", "SIGTERM", "SIGTERM"], ["quit: SIGHUP", "quit: SIGTERM", "quit: SIGTERM"]),
        (["SIGINT", "SIGINT"], ["quit: SIGINT", "abandon"]),
        (["SIGTERM", "SIGINT"], ["quit: SIGTERM", "quit: SIGINT"]),
        (["SIGINT", "SIGTERM", "SIGINT"], ["quit: SIGINT", "quit: SIGTERM", "abandon"]),
    ],
)
def test_only_a_second_sigint_abandons_the_run(bench: Bench, received: list[str], calls: list[str]) -> None:
    for name in received:
        os.kill(os.getpid(), signal.Signals[name])
        bench.poll()
    assert bench.calls == calls


def test_commands_are_carried_out_in_order(bench: Bench) -> None:
    bench.say("c\nquit\ncheck\nq\n")
    bench.poll()
    assert bench.calls == ["check", "quit: quit", "check", "quit: quit"]


def test_commands_that_have_ended_are_not_waited_for(bench: Bench) -> None:
    os.close(bench.commands_writer)
    bench.poll()
    began = time.monotonic()
    bench.loop.run_once([bench.now + 0.1])
    assert time.monotonic() - began > 0.09, "the end of the input woke it up again"


def test_a_terminal_is_read_again_once_the_program_is_in_its_foreground(bench: Bench) -> None:
    bench.commands.background = True
    bench.say("check\n")
    for _ in range(3):
        bench.poll()
    assert bench.calls == []
    began = time.monotonic()
    bench.loop.run_once([bench.now + 0.1])
    assert time.monotonic() - began > 0.09, "what it must not read woke it up again"
    bench.commands.background = False
    bench.now += 1.0
    bench.poll()
    bench.poll()
    assert bench.calls == ["check"]


# Workers


def report_and_die(name: str, supervisor_pid: int, channel: ToSupervisor, n_batches: int) -> None:
    channel.send([WatchStarted()])
    for number in range(n_batches):
        channel.send([FolderMovedIn(b"%d" % number)])
    os._exit(3)


def test_all_messages_of_a_dead_worker_are_handled_before_it_is_replaced(bench: Bench) -> None:
    handled: list[object] = []

    def on_death(worker: WatcherWorker) -> None:
        bench.loop.unwatch(worker)
        handled.append(bench.loop.count_death(worker))

    worker = bench.start(report_and_die, 100)
    bench.loop.watch(worker, handled.append, on_death)
    worker.process.join()
    while not isinstance(handled[-1] if handled else None, str):
        bench.loop.run_once([None])
    assert handled == [
        WatchStarted(),
        *(FolderMovedIn(b"%d" % number) for number in range(100)),
        "ended with status 3",
    ]
    began = time.monotonic()
    bench.loop.run_once([bench.now + 0.1])
    assert time.monotonic() - began > 0.09, "a worker that is no longer watched woke it up"


def test_an_event_of_a_worker_that_another_handler_removed_is_dropped(bench: Bench) -> None:
    """Both are dead when the loop looks; the first handler replaces both, as for the two workers of a lane."""
    workers = [bench.start(report_and_die, 0) for _ in range(2)]
    deaths: list[WatcherWorker] = []

    def on_death(worker: WatcherWorker) -> None:
        deaths.append(worker)
        for each in workers:
            bench.loop.unwatch(each)
            bench.pool.close(each.channel)

    for worker in workers:
        bench.loop.watch(worker, lambda _: None, on_death)
        worker.process.join()
    while not deaths:
        bench.loop.run_once([None])
    assert len(deaths) == 1


def count_allowances(name: str, supervisor_pid: int, channel: ToSupervisor) -> None:
    total = 0
    while True:
        for message in channel.receive():
            if isinstance(message, Allowance):
                total += message.files
            elif isinstance(message, Sweep):
                channel.send([SweepDone(total)])


def test_what_a_channel_did_not_take_is_sent_as_the_worker_reads(bench: Bench) -> None:
    worker = bench.start(count_allowances)
    handled: list[FromWatcher] = []
    bench.loop.watch(worker, handled.append, lambda _: pytest.fail("the worker died"))
    os.kill(worker.process.pid or 0, signal.SIGSTOP)
    for _ in range(20):
        worker.channel.post([Allowance(1)] * 20_000)
    worker.channel.post([Sweep(1)])
    assert worker.channel.backlog
    os.kill(worker.process.pid or 0, signal.SIGCONT)
    while not handled:
        bench.loop.run_once([bench.now + 60])
    assert handled == [SweepDone(400_000)]


def test_too_many_deaths_in_a_minute_are_an_error(bench: Bench) -> None:
    worker = bench.start(report_and_die, 0)
    for pause in [15.0] * 20 + [12.1] * 5:  # never more than 5 within 60 s
        bench.now += pause
        assert bench.loop.count_death(worker) == "ended with status 3"
    bench.now += 11.0
    with pytest.raises(
        WorkerError, match=r"^watcher ended with status 3, and 6 workers have died within 60 s: ending;"
    ):
        bench.loop.count_death(worker)


def report_on_stop(name: str, supervisor_pid: int, channel: ToSupervisor) -> None:
    while Stop() not in channel.receive():
        pass
    channel.send([SweepDone(1)])
    channel.send([SweepDone(2)])


def ignore_stop(name: str, supervisor_pid: int, channel: ToSupervisor) -> None:
    init_worker(name, supervisor_pid)
    time.sleep(60)


def test_the_last_messages_of_workers_that_stop_are_handled(bench: Bench) -> None:
    workers = [bench.start(report_on_stop) for _ in range(3)]
    handled: list[FromWatcher] = []
    for worker in workers:
        bench.loop.watch(worker, handled.append, lambda _: pytest.fail("it was asked to stop"))
    bench.loop.stop_workers(workers)
    assert [worker.process.exitcode for worker in workers] == [0, 0, 0]
    assert sorted(message.number for message in handled if isinstance(message, SweepDone)) == [1, 1, 1, 2, 2, 2]


def test_a_worker_that_does_not_stop_is_not_waited_for_any_longer(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench.loop, "_clock", time.monotonic)
    workers = [bench.start(report_on_stop), bench.start(ignore_stop)]
    for worker in workers:
        bench.loop.watch(worker, lambda _: None, lambda _: None)
    bench.loop.stop_workers(workers, timeout_s=0.5)
    assert [worker.process.exitcode for worker in workers] == [0, None]
