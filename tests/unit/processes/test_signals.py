"""Signals as bytes in a pipe, in this process and in programs that were started with signals ignored."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import textwrap

import pytest

from dfud.processes.signals import SignalPipe, ending_signals_blocked
from tests.helpers.terminals import ON_TERMINAL


def test_signals_arrive_in_order_and_once(signals: SignalPipe) -> None:
    assert signals.read() == []
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGINT, signal.SIGHUP):
        os.kill(os.getpid(), number)
    assert signals.read() == [signal.SIGTERM, signal.SIGINT, signal.SIGINT, signal.SIGHUP]
    assert signals.read() == []


def test_without_a_terminal_a_hangup_does_not_ask_for_the_end(signals: SignalPipe) -> None:
    service = SignalPipe(has_terminal=False)
    calls: list[None] = []
    service.on_hangup = lambda: calls.append(None)
    for number in (signal.SIGHUP, signal.SIGTERM):
        os.kill(os.getpid(), number)
    assert service.read() == [signal.SIGTERM]
    assert len(calls) == 1


def test_other_signals_do_not_ask_for_the_end(signals: SignalPipe) -> None:
    before = signal.signal(signal.SIGUSR1, lambda *_: None)
    try:
        os.kill(os.getpid(), signal.SIGUSR1)
        os.kill(os.getpid(), signal.SIGPIPE)
        assert signals.read() == []
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_what_happens_to_the_terminal_wakes_the_reader_and_asks_for_nothing(signals: SignalPipe) -> None:
    stops: list[None] = []
    signals.watch_terminal(lambda: stops.append(None))
    try:
        os.kill(os.getpid(), signal.SIGWINCH)
        assert select.select([signals.fileno()], [], [], 0)[0]
        assert signals.read() == []
        assert stops == []
        os.kill(os.getpid(), signal.SIGCONT)
        assert signals.read() == []
        assert stops == [None]
    finally:
        for number in (signal.SIGWINCH, signal.SIGCONT):
            signal.signal(number, signal.SIG_DFL)


def test_blocked_signals_arrive_later(signals: SignalPipe) -> None:
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    with ending_signals_blocked():
        os.kill(os.getpid(), signal.SIGTERM)
        assert signals.read() == []
    assert signals.read() == [signal.SIGTERM]
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == mask


PROGRAM = textwrap.dedent("""
    import os, signal, sys
    from dfud.processes.signals import SignalPipe
    signals = SignalPipe()
    os.kill(os.getpid(), getattr(signal, sys.argv[1]))
    print(*(number.name for number in signals.read()))
    """)


def received_by(words: list[str]) -> str:
    """Return what a program prints that has no terminal, unless it gets itself one."""
    done = subprocess.run(words, stdout=subprocess.PIPE, text=True, timeout=30, check=True, start_new_session=True)
    return done.stdout.strip()


@pytest.mark.parametrize(
    ("script", "name", "received"),
    [
        pytest.param('trap "" HUP; exec "$@"', "SIGHUP", "", id="nohup"),
        pytest.param('exec "$@"', "SIGHUP", "", id="SIGHUP"),
        pytest.param('"$@" & wait', "SIGINT", "SIGINT", id="in the background of a script"),
        pytest.param('trap "" INT; exec "$@"', "SIGINT", "SIGINT", id="SIGINT ignored"),
        pytest.param('trap "" TERM; exec "$@"', "SIGTERM", "SIGTERM", id="SIGTERM ignored"),
    ],
)
def test_of_the_ignored_signals_only_sighup_stays_ignored(script: str, name: str, received: str) -> None:
    """A script's shell ignores SIGINT for what runs in the background; Ctrl-C at the script must still end it."""
    assert received_by(["sh", "-c", script, "sh", sys.executable, "-c", PROGRAM, name]) == received


def test_a_hangup_asks_for_the_end_with_a_terminal() -> None:
    assert received_by([*ON_TERMINAL, sys.executable, "-c", PROGRAM, "SIGHUP"]) == "SIGHUP"
