"""Time and CPU for 1, 10, 100 and 1,000 times the work: bytes, files, and rows of the completed table."""

from __future__ import annotations

import shutil

from benchmarks import datasets
from benchmarks.benchmark import Benchmark, Lines, Plan, Result, Series, Table, Verdict, figure
from benchmarks.comparison import Candidate, run_once
from benchmarks.datasets import KIB, MIB, Dataset
from benchmarks.peers.dfud_upload import Dfud
from benchmarks.peers.job import Job
from benchmarks.statistics import median, scaling_exponent
from benchmarks.suite.start import make_uploaded
from benchmarks.testbed import Measurement, Testbed

TITLE = "1, 10, 100 and 1,000 times the work"
_STEPS = (1, 10, 100, 1000)
_BYTES = 4 * MIB
_FILES = 100
_ROWS = 1000
_MAX_EXPONENT = 1.1
_NAMES = {  # of each kind of work, and of the step that is multiplied
    "per GiB": ("bytes", f"{_BYTES // MIB} MiB"),
    "per 1,000 files": ("files", f"{_FILES} files"),
    "per 1,000 rows": ("rows", f"{_ROWS:,} rows"),
}


def run(testbed: Testbed, plan: Plan) -> Result:
    """Measure each amount of each kind of work."""
    steps = _STEPS[:2] if plan.quick else _STEPS
    rounds = min(plan.rounds, 3)
    minimal = [_rows(testbed, 0) for _ in range(rounds)]
    fixed = {"s": median([run.seconds for run in minimal]), "CPU s": median([run.cpu for run in minimal])}
    kinds = {
        "per GiB": [
            (step * _BYTES / datasets.GIB, [_large(testbed, step) for _ in range(rounds)]) for step in steps
        ],
        "per 1,000 files": [
            (step * _FILES / 1000, [_small(testbed, step) for _ in range(rounds)]) for step in steps
        ],
        "per 1,000 rows": [
            (step * _ROWS / 1000, [_rows(testbed, step * _ROWS) for _ in range(rounds)]) for step in steps
        ],
    }
    rows, series, verdicts = [], [], []
    for kind, measured in kinds.items():
        name, step_name = _NAMES[kind]
        seconds = [median([run.seconds for run in runs]) for _, runs in measured]
        cpu = [median([run.cpu for run in runs]) for _, runs in measured]
        work = [amount for amount, _ in measured]
        for amount, s, c in zip(work, seconds, cpu):
            variable = max(0.0, c - fixed["CPU s"]) / amount
            rows.append(
                [f"{amount / work[0]:,.0f} x {step_name}", figure(s), figure(c), f"{figure(variable)} {kind}"]
            )
        series.append(Series(name, list(zip([amount / work[0] for amount in work], cpu))))
        # The slope of what comes on top of the fixed cost, as far as it stands out from the noise.
        visible = [(amount, c - fixed["CPU s"]) for amount, c in zip(work, cpu) if c > 1.2 * fixed["CPU s"]]
        if len(visible) > 1:
            slope = scaling_exponent(*zip(*visible))
            verdicts.append(Verdict(f"CPU for {name}: scaling exponent", slope, _MAX_EXPONENT, False, ""))
    rows.insert(0, ["one small file", figure(fixed["s"]), figure(fixed["CPU s"]), ""])
    table = Table(["", "s", "CPU s", "CPU s above the fixed cost"], rows)
    chart = Lines(TITLE, "times the work", "CPU s", series, log=True)
    return Result(table, verdicts, [chart], raw={"rows": rows, "fixed": fixed})


def _large(testbed: Testbed, step: int) -> Measurement:
    """Upload `step` times 4 MiB."""
    testbed.announce(f"  {step} x {_BYTES // MIB} MiB")
    return run_once(testbed, Candidate(Dfud(), Dataset(max(1, step // 100), min(step, 100) * _BYTES)))


def _small(testbed: Testbed, step: int) -> Measurement:
    """Upload `step` times 100 small files."""
    testbed.announce(f"  {step} x {_FILES} files")
    return run_once(testbed, Candidate(Dfud(), Dataset(step * _FILES, KIB)))


def _rows(testbed: Testbed, rows: int) -> Measurement:
    """Upload one small file while the completed table has `rows` rows."""
    testbed.announce(f"  {rows} rows")
    folder = testbed.work / "rows"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    topic = testbed.create_topic()
    try:
        make_uploaded(folder, topic, rows)
        (folder / "new.dat").write_bytes(b"new")
        data = Dataset(1, 3)
        return testbed.measure(Dfud().command(Job(folder, data, topic, testbed.bootstrap, testbed.work)))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        testbed.delete_topic(topic)


BENCHMARK = Benchmark("scaling", TITLE, run)
