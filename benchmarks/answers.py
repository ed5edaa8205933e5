"""What a question has found out: tables, verdicts on targets, and charts, all of plain data for the JSON."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from benchmarks.contest import Row
from benchmarks.stage import Stage
from benchmarks.statistics import ratio, spread


class Plan(NamedTuple):
    """How much is to be done."""

    rounds: int
    quick: bool  # less work, to see that everything runs; its figures mean little


class Verdict(NamedTuple):
    """A figure and what it is to be."""

    what: str
    value: float
    target: float
    at_least: bool  # else at most
    unit: str = "times"

    @property
    def met(self) -> bool:
        return self.value >= self.target if self.at_least else self.value <= self.target


class Table(NamedTuple):
    """Cells are text already."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


class Bars(NamedTuple):
    """A bar for each of several things."""

    title: str
    unit: str
    bars: Sequence[Bar]
    kind: str = "bars"


class Bar(NamedTuple):
    label: str
    least: float
    median: float
    most: float
    ours: bool


class Lines(NamedTuple):
    """Curves over a number."""

    title: str
    x: str
    y: str
    series: Sequence[Series]
    log: bool = False
    kind: str = "lines"


class Series(NamedTuple):
    label: str
    points: Sequence[tuple[float, float]]


class Answer(NamedTuple):
    """All that a question has found out."""

    table: Table
    verdicts: Sequence[Verdict] = ()
    charts: Sequence[Bars | Lines] = ()
    notes: Sequence[str] = ()
    raw: Any = None  # the measurements themselves

    def as_data(self) -> dict[str, Any]:
        """Return it as what JSON can hold."""
        return {
            "table": self.table._asdict(),
            "verdicts": [{**each._asdict(), "met": each.met} for each in self.verdicts],
            "charts": [_plain(each) for each in self.charts],
            "notes": list(self.notes),
            "raw": self.raw,
        }


class Question(NamedTuple):
    """One thing to be known."""

    name: str
    title: str
    ask: Callable[[Stage, Plan], Answer]
    missing: Callable[[], str] = lambda: ""  # why it can't be asked, or nothing


def contest_answer(
    title: str,
    rows: Sequence[Row],
    unit: str,
    verdicts: Sequence[Verdict] = (),
    notes: Sequence[str] = (),
) -> Answer:
    """Return the answer of a contest, rates in `unit` ("MB/s" or "files/s")."""
    per_file = unit == "files/s"
    columns = ["", unit, "least to most", "s", "CPU s a 1,000 files" if per_file else "CPU s a GiB", "runs"]
    cells, bars = [], []
    for row in rows:
        if not row.runs:
            cells.append(
                [row.name, "-", "", "", "", f"left out: {row.skipped.splitlines()[0] if row.skipped else ''}"]
            )
            continue
        rate = spread(row.rates(unit))
        seconds = spread([run.seconds for run in row.runs]).median
        cpu = spread([1000 * cpu for cpu in row.cpu_per_file] if per_file else row.cpu_per_gib).median
        cells.append(
            [
                row.name,
                figure(rate.median),
                f"{figure(rate.least)} to {figure(rate.most)}",
                figure(seconds),
                figure(cpu),
                str(len(row.runs)),
            ]
        )
        bars.append(Bar(row.name, *rate, ours=row.name.startswith("dfud")))
    raw = [{**row._asdict(), "runs": [run._asdict() for run in row.runs]} for row in rows]
    return Answer(Table(columns, cells), verdicts, [Bars(title, unit, bars)], notes, raw)


def against(
    rows: Sequence[Row], ours: str, theirs: str, unit: str, target: float, what: str = "speed"
) -> list[Verdict]:
    """Return the verdict on the ratio of two rows' medians, or none where one of them has no runs.

    `what` is "speed", where more is better, or "CPU" (of a byte or a file), where less is.
    """
    found = {row.name: row for row in rows}
    one, other = found.get(ours), found.get(theirs)
    if one is None or other is None or not one.runs or not other.runs:
        return []
    if what == "CPU":
        cpu = ratio(one.cpu_per_gib, other.cpu_per_gib)
        return [Verdict(f"CPU of {ours} against {theirs}", cpu, target, at_least=False)]
    return [Verdict(f"{ours} against {theirs}", ratio(one.rates(unit), other.rates(unit)), target, at_least=True)]


def figure(value: float) -> str:
    """Return a number with three significant digits, thousands separated.

    >>> figure(12345.6), figure(123.4), figure(1.234), figure(0.01234)
    ('12,346', '123', '1.23', '0.0123')
    """
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}" if value else "0"


def _plain(value: Any) -> Any:
    """Return named tuples as mappings, all the way down."""
    if hasattr(value, "_asdict"):
        return {name: _plain(each) for name, each in value._asdict().items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    return value
