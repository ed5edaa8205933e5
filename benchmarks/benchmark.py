"""What a benchmark is, and what it returns: tables, charts, and verdicts on targets, as data for the JSON."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from benchmarks.comparison import TrialResult
from benchmarks.statistics import ratio, spread
from benchmarks.testbed import Testbed


class Plan(NamedTuple):
    """How much work is done."""

    rounds: int
    quick: bool  # little work, only to see that everything runs; the figures mean nothing


class Verdict(NamedTuple):
    """A figure beside its target."""

    what: str
    value: float
    target: float
    at_least: bool  # False: at most
    unit: str = "times"

    @property
    def met(self) -> bool:
        """Whether the figure meets its target."""
        return self.value >= self.target if self.at_least else self.value <= self.target


class Table(NamedTuple):
    """A table whose cells are formatted already."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


class Bars(NamedTuple):
    """A bar chart."""

    title: str
    unit: str
    bars: Sequence[Bar]
    kind: str = "bars"


class Bar(NamedTuple):
    """One bar: a median, with whiskers from `min` to `max`."""

    label: str
    min: float
    median: float
    max: float
    ours: bool  # drawn in colour


class Lines(NamedTuple):
    """A line chart."""

    title: str
    x: str
    y: str
    series: Sequence[Series]
    log: bool = False  # both axes
    kind: str = "lines"


class Series(NamedTuple):
    """One line."""

    label: str
    points: Sequence[tuple[float, float]]


class Result(NamedTuple):
    """Everything that a benchmark has measured."""

    table: Table
    verdicts: Sequence[Verdict] = ()
    charts: Sequence[Bars | Lines] = ()
    notes: Sequence[str] = ()
    raw: Any = None  # the measurements themselves

    def as_data(self) -> dict[str, Any]:
        """Return the result as plain data for the JSON."""
        return {
            "table": self.table._asdict(),
            "verdicts": [{**verdict._asdict(), "met": verdict.met} for verdict in self.verdicts],
            "charts": [_plain(chart) for chart in self.charts],
            "notes": list(self.notes),
            "raw": self.raw,
        }


class Benchmark(NamedTuple):
    """One aspect to be measured."""

    name: str
    title: str
    run: Callable[[Testbed, Plan], Result]
    missing: Callable[[], str] = lambda: ""  # what it needs and this machine lacks, or ""


def comparison_result(
    title: str,
    trials: Sequence[TrialResult],
    unit: str,
    verdicts: Sequence[Verdict] = (),
    notes: Sequence[str] = (),
) -> Result:
    """Return the result of a comparison, rates in `unit` ("MB/s" or "files/s")."""
    per_file = unit == "files/s"
    columns = ["", unit, "range", "s", "CPU s per 1,000 files" if per_file else "CPU s per GiB", "runs"]
    rows, bars = [], []
    for trial in trials:
        if not trial.runs:
            reason = trial.skipped.splitlines()[0] if trial.skipped else ""
            rows.append([trial.name, "-", "", "", "", f"skipped: {reason}"])
            continue
        rate = spread(trial.rates(unit))
        seconds = spread([run.seconds for run in trial.runs]).median
        cpu = spread([1000 * cpu for cpu in trial.cpu_per_file] if per_file else trial.cpu_per_gib).median
        rows.append(
            [
                trial.name,
                figure(rate.median),
                f"{figure(rate.min)} to {figure(rate.max)}",
                figure(seconds),
                figure(cpu),
                str(len(trial.runs)),
            ]
        )
        bars.append(Bar(trial.name, *rate, ours=trial.name.startswith("dfud")))
    raw = [{**trial._asdict(), "runs": [run._asdict() for run in trial.runs]} for trial in trials]
    return Result(Table(columns, rows), verdicts, [Bars(title, unit, bars)], notes, raw)


def ratio_verdicts(
    trials: Sequence[TrialResult], ours: str, theirs: str, unit: str, target: float, what: str = "speed"
) -> list[Verdict]:
    """Return the verdict on the ratio of two medians, or none if one of the two has no runs.

    `what` is "speed", of which the ratio is to be at least `target`, or "CPU" (per byte), at most `target`.
    """
    by_name = {trial.name: trial for trial in trials}
    one, other = by_name.get(ours), by_name.get(theirs)
    if one is None or other is None or not one.runs or not other.runs:
        return []
    if what == "CPU":
        cpu = ratio(one.cpu_per_gib, other.cpu_per_gib)
        return [Verdict(f"CPU, {ours} vs. {theirs}", cpu, target, at_least=False)]
    return [Verdict(f"{ours} vs. {theirs}", ratio(one.rates(unit), other.rates(unit)), target, at_least=True)]


def figure(value: float) -> str:
    """Return a number with three significant digits, thousands separated.

    >>> figure(12345.6), figure(123.4), figure(1.234), figure(0.01234)
    ('12,346', '123', '1.23', '0.0123')
    """
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}" if value else "0"


def _plain(value: Any) -> Any:
    """Return named tuples as mappings, at every level."""
    if hasattr(value, "_asdict"):
        return {name: _plain(each) for name, each in value._asdict().items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    return value
