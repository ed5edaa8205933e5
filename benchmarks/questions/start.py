"""From the start of the program to its first message, where very much is done already."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

from benchmarks.answers import Answer, Bar, Bars, Plan, Question, Table, Verdict, figure
from benchmarks.command import CommandFailed
from benchmarks.datasets import Dataset, write
from benchmarks.listener import Listener
from benchmarks.stage import Stage
from benchmarks.statistics import spread
from benchmarks.watching import dfud_command, running, write_file
from dfud.core.tables import CompletedRow, format_table

TITLE = "Start to first message, 100,000 finished files and a million completed rows"
_STARTED = "2026-01-01T12:00:00.000+00:00"


def make_finished(folder: Path, topic: str, rows: int) -> None:
    """Write a completed table of all files in `folder` and, up to `rows`, of others that are gone."""
    logs = folder / "LOGS"
    shutil.rmtree(logs, ignore_errors=True)
    table = []
    for path in sorted(folder.rglob("*.dat")):
        found = path.stat()
        table.append(row_of(str(path.relative_to(folder)), found.st_size, found.st_mtime_ns))
    table += [
        row_of(f"gone/{number:08d}.dat", 1024, 1_600_000_000_000_000_000 + number)
        for number in range(rows - len(table))
    ]
    logs.mkdir()
    (logs / f"uploaded_to_{topic}.csv").write_text(format_table(CompletedRow, table), newline="")


def row_of(path: str, size: int, mtime_ns: int) -> CompletedRow:
    return CompletedRow(path, size, mtime_ns, 1, 16384, f"{hash(path) & (1 << 64) - 1:032x}", _STARTED, _STARTED)


def time_to_first(stage: Stage, folder: Path, rows: int, number: int) -> float:
    """Return the seconds from the start to the arrival of the one file that is new."""
    topic = stage.create_topic()
    listener = Listener(stage.bootstrap, topic, b"new")
    name = f"new{number}.dat"
    try:
        make_finished(folder, topic, rows)
        write_file(folder / name, b"first")
        began = time.monotonic()
        with running(stage, dfud_command(stage, folder, topic, "--upload_existing", "--update_seconds", "-1")):
            came = listener.wait_for(os.fsencode(name), 1, 120.0)
            if came is None:
                raise CommandFailed("the new file has not come in two minutes")
        return came - began
    finally:
        (folder / name).unlink(missing_ok=True)
        listener.close()
        stage.delete_topic(topic)


def ask(stage: Stage, plan: Plan) -> Answer:
    files, rows = (1_000, 10_000) if plan.quick else (100_000, 1_000_000)
    folder = stage.work / f"finished{files}"
    if not folder.exists():
        folder.mkdir()
        write(Dataset(files, 1024), folder)
    settings = {"an empty folder": (stage.work / "empty", 0), f"{files:,} files, {rows:,} rows": (folder, rows)}
    (stage.work / "empty").mkdir(exist_ok=True)
    times: dict[str, list[float]] = {name: [] for name in settings}
    for round_ in range(plan.rounds):
        for name, (where, count) in settings.items():
            times[name].append(time_to_first(stage, where, count, round_))
            stage.say(f"  round {round_ + 1}/{plan.rounds} {name}: {times[name][-1]:.2f} s")
    shutil.rmtree(folder / "LOGS", ignore_errors=True)
    middle = {name: spread(each) for name, each in times.items()}
    table = Table(
        ["", "s", "least to most", "runs"],
        [
            [name, figure(s.median), f"{figure(s.least)} to {figure(s.most)}", str(plan.rounds)]
            for name, s in middle.items()
        ],
    )
    full = list(middle)[1]
    verdicts = [Verdict("start to first message", middle[full].median, 3, False, "s")]
    bars = [Bar(name, *s, ours=True) for name, s in middle.items()]
    return Answer(table, verdicts, [Bars("Start to first message", "s", bars)], raw=times)


QUESTION = Question("start", TITLE, ask)
