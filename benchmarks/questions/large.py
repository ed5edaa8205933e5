"""512 MiB in 4 files, 16 KiB chunks: dfud, the C loop, and everybody else."""

from __future__ import annotations

from benchmarks.answers import Answer, Plan, Question, against, contest_answer
from benchmarks.contest import Contestant, run_contest
from benchmarks.datasets import MIB, Dataset
from benchmarks.peers.floor import Floor
from benchmarks.peers.java import JavaPerf
from benchmarks.peers.kcat import Kcat
from benchmarks.peers.openmsistream import OpenMsiStream
from benchmarks.peers.ours import Dfud
from benchmarks.peers.plain import PlainLoop
from benchmarks.stage import Stage

TITLE = "512 MiB in 4 files, 16 KiB chunks"


def ask(stage: Stage, plan: Plan) -> Answer:
    data = Dataset(4, (16 if plan.quick else 128) * MIB)
    # At 3 MB/s: as much as takes some ten seconds, so that its start counts little.
    less = Dataset(4, (1 if plan.quick else 8) * MIB)
    rows = run_contest(
        stage,
        [
            Contestant(Dfud(), data),
            Contestant(Floor(), data),
            Contestant(Floor(2), data),
            Contestant(Floor(2, whole=True), data),
            Contestant(PlainLoop(), data),
            Contestant(JavaPerf(), data),
            Contestant(Kcat(), data),
            Contestant(OpenMsiStream(), less, most_rounds=3),
        ],
        plan.rounds,
    )
    verdicts = [
        *against(rows, "dfud", "C loop", "MB/s", 1.0),
        *against(rows, "dfud", "C loop", "MB/s", 1.3, "CPU"),
        *against(rows, "dfud", "OpenMSIStream", "MB/s", 50),
        *against(rows, "dfud", "Java perf test", "MB/s", 1.5),
    ]
    notes = [f"OpenMSIStream was given {less.bytes // MIB} MiB, the Java perf test reads no files."]
    return contest_answer(TITLE, rows, "MB/s", verdicts, notes)


QUESTION = Question("large", TITLE, ask)
