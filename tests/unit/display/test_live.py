"""When the terminal is written to, and what becomes of lines meanwhile."""

from __future__ import annotations

import pytest

from dfud.display.activity import Activity, Fact
from dfud.display.live import LiveDisplay
from dfud.display.terminal import Look, Size
from tests.helpers.screen import Screen

SIZE = Size(60, 12)


class Bench:
    def __init__(self) -> None:
        self.screen = Screen(*SIZE)
        self.is_idle = False
        self.asked: list[float] = []
        self.live = LiveDisplay(Look(True, True), self.describe, 100.0)

    def describe(self, now: float) -> Activity:
        self.asked.append(now)
        return Activity((Fact(f"at {now:g}"),), is_idle=self.is_idle)

    def draw(self, now: float) -> list[str]:
        self.screen.feed(self.live.frame(now, SIZE).codes)
        return self.screen.lines[:-1]


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_it_is_drawn_a_few_times_a_second_and_sooner_where_there_are_lines(bench: Bench) -> None:
    assert bench.live.due == pytest.approx(99.75 + 0.25)
    assert bench.draw(100.0) == ["at 100"]
    assert bench.live.due == pytest.approx(100.25)
    bench.live.add_line("a line")
    assert bench.live.due == pytest.approx(100.1)
    assert bench.draw(100.1) == ["a line", "at 100.1"]


def test_nothing_is_drawn_while_nothing_happens(bench: Bench) -> None:
    bench.is_idle = True
    bench.draw(100.0)
    assert bench.live.due is None
    bench.live.wake()
    assert bench.live.due == pytest.approx(100.25)


def test_a_flood_of_lines_is_cut_short_and_counted(bench: Bench) -> None:
    for number in range(2500):
        bench.live.add_line(f"line {number}")
    assert bench.draw(100.0)[:-1] == [
        *(f"line {number}" for number in range(1000)), "(1,500 lines dropped: the output was blocked or too slow)",
    ]  # fmt: skip
    assert bench.asked == [100.0], "a line costs nothing but its place"


def test_lines_are_escaped_and_those_that_matter_coloured(bench: Bench) -> None:
    bench.live.add_line("WARNING: x\x1b[2J\x07")
    bench.live.add_line("two\n\tlines")
    frame = bench.live.frame(100.0, SIZE)
    assert "\x1b[33mWARNING: x\\x1b[2J\\x07\x1b[0m" in frame.codes
    bench.screen.feed(frame.codes)
    assert bench.screen.lines[1:3] == ["two", "        lines"]


def test_the_end_leaves_the_lines_alone(bench: Bench) -> None:
    bench.draw(100.0)
    bench.live.add_line("the last one")
    bench.screen.feed(bench.live.end(SIZE).codes)
    assert bench.screen.lines == ["the last one", ""]
