"""Whether the clock was set back: by examples of two clocks."""

from __future__ import annotations

from dfud.uploading.clock_steps import ClockSteps

S = 1_000_000_000


class Clocks:
    def __init__(self) -> None:
        self.clock_ns, self.steady_ns = 10**18, 5 * S
        self.steps = ClockSteps(lambda: self.clock_ns, lambda: self.steady_ns)

    def check(self, clock_ns: int, steady_ns: int) -> tuple[bool, int]:
        """Let time pass on each clock; return the result of a check, and the sum."""
        self.clock_ns += clock_ns
        self.steady_ns += steady_ns
        return self.steps.check(), self.steps.set_back_ns


def test_time_that_passes_is_no_step() -> None:
    clocks = Clocks()
    assert clocks.check(0, 0) == (False, 0)
    assert clocks.check(3600 * S, 3600 * S) == (False, 0)
    assert clocks.check(S, S + 900_000) == (False, 0), "the two are not read at the same instant"


def test_only_steps_back_count_and_the_furthest_of_them() -> None:
    clocks = Clocks()
    assert clocks.check(10 * S, S) == (False, 0)
    assert clocks.check(-8 * S, S) == (False, 0), "it still is not behind"
    assert clocks.check(-S, S) == (True, 2 * S)
    assert clocks.check(S, S) == (False, 2 * S)
    assert clocks.check(60 * S, 0) == (False, 2 * S), "files from before have their old times"
    assert clocks.check(-63 * S, 0) == (True, 5 * S)


def test_the_real_clocks_agree() -> None:
    assert not ClockSteps().check()
