"""What it costs to show at a terminal how an upload is going."""

from __future__ import annotations

import sys
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
TARGET = 0.99  # of the speed with plain lines
_TERMINALS = {"plain lines": "dumb", "shown": "xterm-256color"}


class AtTerminal(NamedTuple):
    """dfud at a terminal of this type."""

    term: str
    name: str = "dfud"

    def missing(self) -> str:
        """Return what it needs and this machine lacks, or ""."""
        return Dfud().missing()

    def command(self, job: Job) -> Command:
        """Return the command that does `job`."""
        words = [sys.executable, "-m", "benchmarks.terminal", *Dfud().command(job).argv]
        return Command(words, environment={"TERM": self.term, "LC_ALL": "C.UTF-8"})

    def messages(self, job: Job) -> int:
        """Return how many messages `job` leaves on the topic."""
        return Dfud().messages(job)


def run(testbed: Testbed, plan: Plan) -> Result:
    """Compare both ways for small files and for large ones."""
    kinds = {
        "20,000 files of 1 KiB": Dataset(5_000 if plan.quick else 20_000, KIB),
        "1 GiB in 4 files": Dataset(4, (16 if plan.quick else 256) * MIB),
    }
    rows, verdicts, raw = [], [], {}
    for what, data in kinds.items():
        candidates = [Candidate(AtTerminal(term), data, label=name) for name, term in _TERMINALS.items()]
        plain, shown = compare(testbed, candidates, plan.rounds)
        speed = ratio(shown.rates("MB/s"), plain.rates("MB/s"))
        cpu = ratio(shown.cpu_per_file, plain.cpu_per_file)
        for trial in (plain, shown):
            seconds, used = (median([getattr(each, field) for each in trial.runs]) for field in ("seconds", "cpu"))
            rows.append([f"{what}, {trial.name}", figure(seconds), figure(used), str(len(trial.runs))])
        rows.append([f"{what}, ratio of speeds and of CPU times", f"{speed:.3f}", f"{cpu:.3f}", ""])
        verdicts.append(Verdict(f"{what}: speed, shown vs. plain", speed, TARGET, at_least=True))
        raw[what] = {trial.name: [each._asdict() for each in trial.runs] for trial in (plain, shown)}
    return Result(Table(["", "s", "CPU s", "runs"], rows), verdicts, raw=raw)


BENCHMARK = Benchmark("display", TITLE, run)
