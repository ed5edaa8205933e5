"""From the start of the program to its first message, in a directory with a long history."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

from benchmarks.benchmark import Bar, Bars, Benchmark, Plan, Result, Table, Verdict, figure
from benchmarks.command import CommandFailedError
from benchmarks.datasets import Dataset, write
from benchmarks.listener import Listener
from benchmarks.peers.dfud_upload import DFUD
from benchmarks.statistics import spread
from benchmarks.testbed import Testbed
from benchmarks.watching import dfud_command, running, write_file
from dfud.core.tables import CompletedRow, format_table

TITLE = "Start to first message, with 100,000 uploaded files and a million completed rows"
_ARRIVAL_TIMEOUT_S = 120.0
_MAX_FIRST_START_S = 3
_MAX_START_S = 1
_STARTED = "2026-01-01T12:00:00.000+00:00"


def make_uploaded(folder: Path, topic: str, rows: int) -> None:
    """Write a completed table of all files in `folder` and, up to `rows` rows, of others that no longer exist."""
    logs = folder / "LOGS"
    shutil.rmtree(logs, ignore_errors=True)
    table = []
    for path in sorted(folder.rglob("*.dat")):
        status = path.stat()
        table.append(row_of(str(path.relative_to(folder)), status.st_size, status.st_mtime_ns))
    table += [
        row_of(f"gone/{number:08d}.dat", 1024, 1_600_000_000_000_000_000 + number)
        for number in range(rows - len(table))
    ]
    logs.mkdir()
    (logs / f"uploaded_to_{topic}.csv").write_text(format_table(CompletedRow, table), newline="")


def row_of(path: str, size: int, mtime_ns: int) -> CompletedRow:
    """Return a row with an arbitrary digest."""
    return CompletedRow(path, size, mtime_ns, 1, 16384, f"{hash(path) & (1 << 64) - 1:032x}", _STARTED, _STARTED)


def times_to_first(
    testbed: Testbed, folder: Path, rows: int, number: int, program: Path = DFUD, starts: int = 1
) -> list[float]:
    """Return the seconds from each start of the program to the arrival of the only new file."""
    topic = testbed.create_topic()
    names = [f"new{number}-{start}.dat" for start in range(starts)]
    try:
        make_uploaded(folder, topic, rows)
        return [time_to_arrival(testbed, folder, topic, name, program) for name in names]
    finally:
        for name in names:
            (folder / name).unlink(missing_ok=True)
        testbed.delete_topic(topic)


def time_to_arrival(testbed: Testbed, folder: Path, topic: str, name: str, program: Path) -> float:
    """Return the seconds from the start of the program to the arrival of a new file."""
    listener = Listener(testbed.bootstrap, topic, os.fsencode(name))
    try:
        write_file(folder / name, b"first")
        started = time.monotonic()
        options = ("--upload_existing", "--update_seconds", "-1")
        with running(testbed, dfud_command(testbed, folder, topic, *options, program=program)):
            arrived = listener.wait_for(os.fsencode(name), 1, _ARRIVAL_TIMEOUT_S)
            if arrived is None:
                raise CommandFailedError(f"the new file has not arrived within {_ARRIVAL_TIMEOUT_S:.0f} s")
        return arrived - started
    finally:
        listener.close()


def run(testbed: Testbed, plan: Plan) -> Result:
    """Time the start in an empty directory, and twice in one with a long history: the first saves an index."""
    files, rows = (1_000, 30_000) if plan.quick else (100_000, 1_000_000)
    folder = testbed.work / f"uploaded{files}"
    if not folder.exists():
        folder.mkdir()
        write(Dataset(files, 1024), folder)
    (testbed.work / "empty").mkdir(exist_ok=True)
    full = f"{files:,} files, {rows:,} rows"
    names = ("an empty folder", f"{full}, for the first time", full)
    times: dict[str, list[float]] = {name: [] for name in names}
    for round_ in range(plan.rounds):
        seconds = times_to_first(testbed, testbed.work / "empty", 0, round_)
        seconds += times_to_first(testbed, folder, rows, round_, starts=2)
        for name, each in zip(names, seconds):
            times[name].append(each)
            testbed.announce(f"  round {round_ + 1}/{plan.rounds} {name}: {each:.2f} s")
    shutil.rmtree(folder / "LOGS", ignore_errors=True)
    spreads = {name: spread(each) for name, each in times.items()}
    table = Table(
        ["", "s", "range", "runs"],
        [
            [name, figure(s.median), f"{figure(s.min)} to {figure(s.max)}", str(plan.rounds)]
            for name, s in spreads.items()
        ],
    )
    verdicts = [
        Verdict(
            "start to first message, for the first time", spreads[names[1]].median, _MAX_FIRST_START_S, False, "s"
        ),
        Verdict("start to first message", spreads[full].median, _MAX_START_S, False, "s"),
    ]
    bars = [Bar(name, *s, ours=True) for name, s in spreads.items()]
    return Result(table, verdicts, [Bars("Start to first message", "s", bars)], raw=times)


BENCHMARK = Benchmark("start", TITLE, run)
