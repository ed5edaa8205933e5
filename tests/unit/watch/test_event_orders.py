"""Real orders of events, taken from the kernel once: what dfud makes of them, and whether they are still so."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.helpers.event_orders import SCENARIOS, Step, Steps, read_fixture, run, title
from tests.helpers.unavailable import UnavailableError

RECORDED = read_fixture()
every_scenario = pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: str(scenario.__name__))

# Orders that are the file system's or a program's choice rather than inotify's: others would be right, too.
MAY_DIFFER = {
    "A file is copied with its times (cp -p)": "cp may write it in other steps",
    "A file is emptied by the shell (: > old)": "a shell may open it more than once",
}


def steps_of(scenario: Callable[[Path, Path], Steps], recorded: list[Step] | None = None) -> list[Step]:
    try:
        return run(scenario, recorded)
    except UnavailableError as error:
        pytest.skip(str(error))


def test_each_scenario_is_recorded_once() -> None:
    assert list(RECORDED) == [title(scenario) for scenario in SCENARIOS]


@every_scenario
def test_what_is_ready_follows_from_the_recorded_events(scenario: Callable[[Path, Path], Steps]) -> None:
    """The kernel's own events are not read: what it reports today makes no difference."""
    recorded = RECORDED[title(scenario)]
    assert steps_of(scenario, recorded) == recorded


def test_without_events_nothing_is_ready() -> None:
    silent = [Step(step.text, [], []) for step in RECORDED[title(SCENARIOS[0])]]
    assert steps_of(SCENARIOS[0], silent) == silent


@every_scenario
def test_the_kernel_reports_what_was_recorded(scenario: Callable[[Path, Path], Steps]) -> None:
    name = title(scenario)
    steps = steps_of(scenario)
    if steps != RECORDED[name] and name in MAY_DIFFER:
        pytest.xfail(MAY_DIFFER[name])
    assert steps == RECORDED[name]
