"""What it costs to show at a terminal how an upload is going."""

from __future__ import annotations

import sys
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

from benchmarks.benchmark import Benchmark, Plan, Result, Table, Verdict, figure
from benchmarks.command import Command
from benchmarks.comparison import Candidate, compare
from benchmarks.datasets import KIB, MIB, Dataset
from benchmarks.peers.dfud_upload import Dfud
from benchmarks.peers.job import Job
from benchmarks.statistics import median, ratio
from benchmarks.testbed import Testbed

TITLE = "Showing how an upload is going, compared with plain lines"
TARGET = 0.01  # of the CPU time of an upload
_TERMINALS = {"plain lines": "dumb", "shown": "xterm-256color"}


class AtTerminal(NamedTuple):
    """dfud at a terminal of this type."""

    term: str
    file: Path  # of what the process took that shows it
    name: str = "dfud"

    def missing(self) -> str:
        """Return what it needs and this machine lacks, or ""."""
        return Dfud().missing()

    def command(self, job: Job) -> Command:
        """Return the command that does `job`."""
        words = [sys.executable, "-m", "benchmarks.terminal", str(self.file), *Dfud().command(job).argv]
        return Command(words, environment={"TERM": self.term, "LC_ALL": "C.UTF-8"})

    def messages(self, job: Job) -> int:
        """Return how many messages `job` leaves on the topic."""
        return Dfud().messages(job)


def run(testbed: Testbed, plan: Plan) -> Result:
    """Compare both ways for small files and for large ones.

    What is shown costs less than one run differs from the next, hence the look at the process that shows it.
    """
    kinds = {
        "20,000 files of 1 KiB": Dataset(5_000 if plan.quick else 20_000, KIB),
        "1 GiB in 4 files": Dataset(4, (16 if plan.quick else 256) * MIB),
    }
    rows, verdicts, raw = [], [], {}
    for what, data in kinds.items():
        files = {name: testbed.work / f"cpu-{term}-{data.files}" for name, term in _TERMINALS.items()}
        candidates = [
            Candidate(AtTerminal(term, files[name]), data, label=name) for name, term in _TERMINALS.items()
        ]
        plain, shown = compare(testbed, candidates, plan.rounds)
        own = {name: [float(line) for line in file.read_text().split()] for name, file in files.items()}
        for trial in (plain, shown):
            seconds, used = (median([getattr(each, field) for each in trial.runs]) for field in ("seconds", "cpu"))
            means = fmean(own[trial.name])
            rows.append(
                [f"{what}, {trial.name}", figure(seconds), figure(used), f"{means:.3f}", str(len(trial.runs))]
            )
        speed = ratio(shown.rates("MB/s"), plain.rates("MB/s"))
        rows.append([f"{what}, ratio of speeds", f"{speed:.3f}", "", "", ""])
        added = (fmean(own[shown.name]) - fmean(own[plain.name])) / median([each.cpu for each in plain.runs])
        verdicts.append(Verdict(f"{what}: CPU time added", added, TARGET, at_least=False, unit="of the whole"))
        raw[what] = {trial.name: [each._asdict() for each in trial.runs] for trial in (plain, shown)}
    return Result(Table(["", "s", "CPU s", "of it where it is shown", "runs"], rows), verdicts, raw=raw)


BENCHMARK = Benchmark("display", TITLE, run)
