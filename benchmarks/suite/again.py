"""A run that finds nothing to do: what a cron job does every few minutes."""

from __future__ import annotations

import subprocess
import time

from benchmarks.benchmark import Benchmark, Plan, Result, Table, Verdict, figure
from benchmarks.command import Command
from benchmarks.comparison import Trial, run_rounds
from benchmarks.datasets import Dataset
from benchmarks.peers.dfud_upload import Dfud
from benchmarks.peers.job import Job
from benchmarks.processes import pss, tree
from benchmarks.statistics import median, ratio
from benchmarks.testbed import Testbed

TITLE = "A second `--once` over a million uploaded files, compared with `find -printf '%s %T@'`"
_SIZE = 50  # bytes: what counts is how many there are
_SAMPLE_INTERVAL_S = 0.1
_MAX_RATIO = 2.5
_MAX_MB = 250


def peak_memory(command: Command) -> int:
    """Run a command and return the largest proportional set size of all its processes (bytes)."""
    largest = 0
    with subprocess.Popen(command.argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        while process.poll() is None:
            largest = max(largest, pss(tree(process.pid)))
            time.sleep(_SAMPLE_INTERVAL_S)
    return largest


def run(testbed: Testbed, plan: Plan) -> Result:
    """Upload the files once, then compare runs that find them all uploaded."""
    data = Dataset(5_000 if plan.quick else 1_000_000, _SIZE)
    folder = testbed.folder(data)
    topic = testbed.create_topic()
    try:
        upload = Dfud().command(Job(folder, data, topic, testbed.bootstrap, testbed.work))
        testbed.measure(upload)
        peak = peak_memory(upload) / 1e6
        look = Command(["find", str(folder), "-printf", "%s %T@\n"])
        trials = [
            Trial("find", lambda: testbed.measure(look), data.files, data.bytes),
            Trial("dfud", lambda: testbed.measure(upload), data.files, data.bytes),
        ]
        finds, runs = run_rounds(trials, plan.rounds, testbed.announce)
    finally:
        testbed.delete_topic(topic)
    rows = [
        [
            each.name,
            figure(median([run.seconds for run in each.runs])),
            figure(median([run.cpu for run in each.runs])),
        ]
        for each in (finds, runs)
    ]
    ours, theirs = ([run.cpu for run in each.runs] for each in (runs, finds))
    verdicts = [
        Verdict("CPU time, dfud vs. find", ratio(ours, theirs), _MAX_RATIO, at_least=False),
        Verdict("memory of all processes", peak, _MAX_MB, at_least=False, unit="MB (PSS)"),
    ]
    raw = {each.name: [run._asdict() for run in each.runs] for each in (finds, runs)}
    return Result(Table(["", "s", "CPU s"], rows), verdicts, raw=raw)


BENCHMARK = Benchmark("again", TITLE, run)
