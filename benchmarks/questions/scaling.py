"""Seconds and CPU for 1, 10, 100 and 1,000 times the work: bytes, files, and rows of the completed table."""

from __future__ import annotations

import shutil

from benchmarks import datasets
from benchmarks.answers import Answer, Lines, Plan, Question, Series, Table, Verdict, figure
from benchmarks.contest import Contestant, run_once
from benchmarks.datasets import KIB, MIB, Dataset
from benchmarks.peers.job import Job
from benchmarks.peers.ours import Dfud
from benchmarks.questions.start import make_finished
from benchmarks.stage import Measured, Stage
from benchmarks.statistics import median, scaling_exponent

TITLE = "1, 10, 100 and 1,000 times the work"
_STEPS = (1, 10, 100, 1000)
_BYTES = 4 * MIB
_FILES = 100
_ROWS = 1000
_NAMES = {
    "a GiB": f"bytes, from {_BYTES // MIB} MiB",
    "a 1,000 files": f"files, from {_FILES}",
    "a 1,000 rows": f"rows, from {_ROWS:,}",
}


def ask(stage: Stage, plan: Plan) -> Answer:
    steps = _STEPS[:2] if plan.quick else _STEPS
    rounds = min(plan.rounds, 3)
    none = [_rows(stage, 0) for _ in range(rounds)]
    fixed = {"s": median([run.seconds for run in none]), "CPU s": median([run.cpu for run in none])}
    kinds = {
        "a GiB": [(step * _BYTES / datasets.GIB, [_large(stage, step) for _ in range(rounds)]) for step in steps],
        "a 1,000 files": [(step * _FILES / 1000, [_small(stage, step) for _ in range(rounds)]) for step in steps],
        "a 1,000 rows": [
            (step * _ROWS / 1000, [_rows(stage, step * _ROWS) for _ in range(rounds)]) for step in steps
        ],
    }
    rows, series, verdicts = [], [], []
    for kind, measured in kinds.items():
        seconds = [median([run.seconds for run in runs]) for _, runs in measured]
        cpu = [median([run.cpu for run in runs]) for _, runs in measured]
        work = [amount for amount, _ in measured]
        for amount, s, c in zip(work, seconds, cpu):
            more = max(0.0, c - fixed["CPU s"]) / amount
            rows.append(
                [f"{_NAMES[kind]}, {amount / work[0]:,.0f} times", figure(s), figure(c), f"{figure(more)} {kind}"]
            )
        series.append(Series(_NAMES[kind], list(zip([amount / work[0] for amount in work], cpu))))
        # The slope of what comes on top of the fixed cost, where it is enough to be seen.
        visible = [(amount, c - fixed["CPU s"]) for amount, c in zip(work, cpu) if c > 1.2 * fixed["CPU s"]]
        if len(visible) > 1:
            slope = scaling_exponent(*zip(*visible))
            verdicts.append(Verdict(f"CPU for {_NAMES[kind]}: power of the work", slope, 1.1, False, ""))
    rows.insert(0, ["nothing but a row", figure(fixed["s"]), figure(fixed["CPU s"]), ""])
    table = Table(["", "s", "CPU s", "CPU s less the fixed cost"], rows)
    chart = Lines(TITLE, "times the work", "CPU s", series, log=True)
    return Answer(table, verdicts, [chart], raw={"rows": rows, "fixed": fixed})


def _large(stage: Stage, step: int) -> Measured:
    stage.say(f"  {step} x {_BYTES // MIB} MiB")
    return run_once(stage, Contestant(Dfud(), Dataset(max(1, step // 100), min(step, 100) * _BYTES)))


def _small(stage: Stage, step: int) -> Measured:
    stage.say(f"  {step} x {_FILES} files")
    return run_once(stage, Contestant(Dfud(), Dataset(step * _FILES, KIB)))


def _rows(stage: Stage, rows: int) -> Measured:
    """Upload one small file where the completed table has so many rows."""
    stage.say(f"  {rows} rows")
    folder = stage.work / "rows"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    topic = stage.create_topic()
    try:
        make_finished(folder, topic, rows)
        (folder / "new.dat").write_bytes(b"new")
        data = Dataset(1, 3)
        return stage.measure(Dfud().command(Job(folder, data, topic, stage.bootstrap, stage.work)))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        stage.delete_topic(topic)


QUESTION = Question("scaling", TITLE, ask)
