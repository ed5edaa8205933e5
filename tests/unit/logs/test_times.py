"""Times as they are written into the tables."""

from __future__ import annotations

import os
import re
import time
from datetime import datetime

import pytest

from dfud.logs.times import MICROSECONDS, ForwardClock, IsoClock


@pytest.mark.parametrize(("zone", "offset"), [("UTC", "+00:00"), ("XXX-05:30", "+05:30"), ("XXX+03", "-03:00")])
def test_a_time_has_its_offset(zone: str, offset: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setenv("TZ", zone)
        time.tzset()
        text = IsoClock()()
    time.tzset()
    assert text.endswith(offset)
    assert len(text) == len("2026-11-24T18:00:00.000+01:00")
    assert abs(datetime.fromisoformat(text).timestamp() - time.time()) < 60


def test_the_milliseconds_go_on_within_a_second_and_beyond() -> None:
    now = [1_700_000_000_007_999_999]
    clock = IsoClock(lambda: now[0])
    milliseconds = []
    for step in (0, 1, 990_000_000, 2_000_000_000):
        now[0] += step
        milliseconds.append(datetime.fromisoformat(clock()).timestamp())
    assert milliseconds == pytest.approx(
        [1_700_000_000.007, 1_700_000_000.008, 1_700_000_000.998, 1_700_000_002.998], abs=1e-4
    )


def test_the_forward_clock_goes_on_in_all_processes_when_the_other_is_set_back() -> None:
    steady, wall = [0], [1_000]
    clock = ForwardClock(lambda: wall[0], lambda: steady[0])
    assert (clock.now_ns(), clock.ahead_ns) == (1_000, 0)
    wall[0] = 9_000
    child = os.fork()
    if not child:
        os._exit(clock.now_ns() != 9_000)
    assert os.waitpid(child, 0)[1] == 0
    steady[0], wall[0] = 10, 500
    assert (clock.now_ns(), clock.ahead_ns) == (9_010, 8_510)
    clock.go_on_from(20_000)
    assert clock.now_ns() == 20_000
    clock.go_on_from(1)
    steady[0] = 11
    assert clock.now_ns() == 20_001
    clock.set_back()
    assert (clock.now_ns(), clock.ahead_ns) == (500, 0)


def test_a_process_that_is_interrupted_between_both_clocks_does_not_find_them_apart() -> None:
    now, pauses = [0], iter([30, 0, 0, 30, 0, 0])

    def read() -> int:
        at = now[0]
        now[0] += next(pauses)
        return at

    clock = ForwardClock(read, read)
    clock.now_ns()
    assert clock.ahead_ns == 0


def test_microseconds() -> None:
    assert re.search(r":40\.000012[+-]", IsoClock(lambda: 1_000_000_000_000_012_345, MICROSECONDS)())
