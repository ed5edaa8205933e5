"""A regular expression that backtracks without end is given up, and nothing else is interrupted."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator

import pytest

from dfud.core.names import UndecidedError
from dfud.processes.bounded_pattern import BoundedPattern

ENDLESS = "a" * 60 + "!"


@pytest.fixture(autouse=True)
def handler() -> Iterator[None]:
    """The handler of the signal is as it was."""
    before = signal.getsignal(signal.SIGVTALRM)
    yield
    signal.signal(signal.SIGVTALRM, before)


def test_it_matches_as_re_does() -> None:
    for regex, text in (("(?!x)a", "ab"), ("b", "ab"), ("a.b", "a\nb"), (".", "\udcff"), ("(a+)+$", "a" * 200)):
        assert BoundedPattern(regex)(text) is (re.compile(regex, re.DOTALL).match(text) is not None)


def test_what_backtracks_without_end_is_given_up_ever_sooner(monkeypatch: pytest.MonkeyPatch) -> None:
    timeouts: list[float] = []
    set_timer = signal.setitimer

    def setitimer(which: int, seconds: float) -> tuple[float, float]:
        timeouts.append(seconds)
        return set_timer(which, seconds)

    monkeypatch.setattr(signal, "setitimer", setitimer)
    pattern = BoundedPattern("(a+)+$")
    for _ in range(30):
        with pytest.raises(UndecidedError):
            pattern(ENDLESS)
    assert pattern("aaa")
    set_times = timeouts[::2]
    assert set_times == sorted(set_times, reverse=True)
    assert set_times[0] / set_times[-1] > 20
    assert not any(timeouts[1::2]), "the timer is stopped each time"


def test_it_interrupts_nothing_else() -> None:
    pattern = BoundedPattern("a")
    assert pattern("a")
    assert signal.getitimer(signal.ITIMER_VIRTUAL) == (0.0, 0.0)
    signal.raise_signal(signal.SIGVTALRM)
