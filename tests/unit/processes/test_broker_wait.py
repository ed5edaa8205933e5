"""Waiting for a broker: what is told, and what ends it."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from typing import NoReturn

import pytest

from dfud.errors import DfudError, StoppedError, UsageError
from dfud.processes.broker_wait import Patience, ask_broker, network_patience
from dfud.processes.signals import SignalPipe

OnWait = Callable[[str], None]


@pytest.fixture
def output() -> object:
    """The two ends of a pipe."""
    ends = os.pipe()
    yield ends
    for end in ends:
        os.close(end)


def answer(_: OnWait, value: int) -> int:
    return value


def answer_late(on_wait: OnWait) -> str:
    on_wait("host:1: no")
    on_wait("host:1: still no")
    return "yes"


def never_answer(on_wait: OnWait) -> NoReturn:
    on_wait("host:1: no")
    time.sleep(3600)
    raise AssertionError


def refuse_late(on_wait: OnWait) -> NoReturn:
    on_wait("host:1: no")
    raise UsageError("refused")


def signal_parent(on_wait: OnWait) -> NoReturn:
    on_wait("host:1: no")
    os.kill(os.getppid(), signal.SIGTERM)
    time.sleep(3600)
    raise AssertionError


def test_nothing_is_told_if_there_is_an_answer(signals: SignalPipe, output: tuple[int, int]) -> None:
    assert ask_broker(signals, output[1], Patience(), answer, 7) == 7
    os.set_blocking(output[0], False)
    with pytest.raises(BlockingIOError):
        os.read(output[0], 1)


def test_each_reason_is_told(signals: SignalPipe, output: tuple[int, int]) -> None:
    assert ask_broker(signals, output[1], Patience(), answer_late) == "yes"
    assert os.read(output[0], 1000).decode().splitlines() == [
        "WARNING: no broker reached at host:1: no; retrying",
        "WARNING: no broker reached at host:1: still no; retrying",
    ]


def test_patience_ends(signals: SignalPipe, output: tuple[int, int]) -> None:
    with pytest.raises(DfudError, match=r"^no broker reached at host:1: no; gave up after 0.1 s$") as raised:
        ask_broker(signals, output[1], Patience(0.1, "some.setting"), never_answer)
    assert raised.value.exit_status == 1
    assert os.read(output[0], 1000).endswith(b"retrying for 0.1 s (some.setting)\n")


def test_the_user_ends_it(signals: SignalPipe, output: tuple[int, int]) -> None:
    words = r"^(SIGTERM: ended while waiting for a broker|stopped by SIGTERM before)"
    with pytest.raises(StoppedError, match=words):
        ask_broker(signals, output[1], Patience(), signal_parent)


def test_a_refusal_is_passed_on(signals: SignalPipe, output: tuple[int, int]) -> None:
    with pytest.raises(UsageError, match=r"^refused$"):
        ask_broker(signals, output[1], Patience(), refuse_late)


def test_the_patience_of_who_only_reads() -> None:
    assert network_patience({}) == Patience(60.0, "socket.timeout.ms")
    assert network_patience({"socket.timeout.ms": "500"}).seconds == 0.5
