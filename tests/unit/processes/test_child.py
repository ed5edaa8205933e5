"""Functions in a child process: what they return and raise, and how the child may end instead."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from typing import Any, NoReturn

import pytest

from dfud.errors import DfudError, StoppedError, UsageError
from dfud.processes.child import ChildCall
from dfud.processes.signals import SignalPipe


@pytest.fixture(autouse=True)
def _no_child_is_left() -> object:
    yield
    assert multiprocessing.active_children() == []


def raise_error(error: Exception) -> NoReturn:
    raise error


def run_in_child(signals: SignalPipe, function: Callable[..., Any], *args: Any) -> Any:
    """Return what `function(*args)` returns in a child process that waits for nothing."""
    with ChildCall(lambda on_wait, *given: function(*given), *args) as call:
        assert call.wait(signals) is None
        return call.result


def test_the_reasons_to_wait_come_before_the_result(signals: SignalPipe) -> None:
    def wait(on_wait: Callable[[str], None]) -> str:
        on_wait("no broker")
        on_wait("no topic")
        return "there"

    with ChildCall(wait) as call:
        assert [call.wait(signals) for _ in range(3)] == ["no broker", "no topic", None]
        assert call.result == "there"


def test_the_result_comes_from_another_process(signals: SignalPipe) -> None:
    pid, total = run_in_child(signals, lambda *numbers: (os.getpid(), sum(numbers)), 1, 2, 3)
    assert pid != os.getpid()
    assert total == 6


def test_a_result_larger_than_a_pipe(signals: SignalPipe) -> None:
    assert run_in_child(signals, lambda: b"x" * 1_000_000) == b"x" * 1_000_000


def test_an_error_is_raised_here_with_its_class_and_text(signals: SignalPipe) -> None:
    with pytest.raises(UsageError, match=r"^the option is wrong$"):
        run_in_child(signals, raise_error, UsageError("the option is wrong"))


def test_an_error_of_the_system_is_one_line(signals: SignalPipe) -> None:
    with pytest.raises(DfudError, match=r"^cannot query the broker: \[Errno 24\] Too many open files$"):
        run_in_child(signals, raise_error, OSError(24, "Too many open files"))


def test_a_child_that_is_killed(signals: SignalPipe) -> None:
    with pytest.raises(DfudError, match=r"^the process that queries the broker was killed by SIGKILL$"):
        run_in_child(signals, lambda: os.kill(os.getpid(), signal.SIGKILL))


def test_a_child_that_exits(signals: SignalPipe) -> None:
    with pytest.raises(DfudError, match=r"^the process that queries the broker ended with status 3$"):
        run_in_child(signals, os._exit, 3)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_stops_the_waiting_and_the_child(signals: SignalPipe, number: signal.Signals) -> None:
    def signal_parent_and_sleep() -> None:
        os.kill(os.getppid(), number)
        time.sleep(60)

    began = time.monotonic()
    with pytest.raises(StoppedError, match=f"^stopped by {number.name} before anything was transferred$"):
        run_in_child(signals, signal_parent_and_sleep)
    assert time.monotonic() - began < 30


def test_a_signal_for_the_program_does_not_end_the_child_itself(signals: SignalPipe) -> None:
    """A terminal sends Ctrl-C to both; only the parent decides what it means."""

    def signal_itself() -> str:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            os.kill(os.getpid(), number)
        return "alive"

    assert run_in_child(signals, signal_itself) == "alive"
