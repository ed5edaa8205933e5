"""Very many very small files."""

from __future__ import annotations

from benchmarks.answers import Answer, Plan, Question, against, contest_answer
from benchmarks.contest import Contestant, run_contest
from benchmarks.datasets import KIB, Dataset
from benchmarks.peers.floor import Floor
from benchmarks.peers.kcat import Kcat
from benchmarks.peers.openmsistream import OpenMsiStream
from benchmarks.peers.ours import Dfud
from benchmarks.peers.plain import PlainLoop
from benchmarks.stage import Stage

TITLE = "100,000 files of 1 KiB"


def ask(stage: Stage, plan: Plan) -> Answer:
    data = Dataset(5_000 if plan.quick else 100_000, KIB)
    less = Dataset(50 if plan.quick else 200, KIB)  # at 20 files/s
    rows = run_contest(
        stage,
        [
            Contestant(Dfud(), data),
            Contestant(Floor(), data),
            Contestant(Floor(2, whole=True), data),
            Contestant(PlainLoop(), data),
            Contestant(Kcat(), data),
            Contestant(OpenMsiStream(), less, most_rounds=3),
        ],
        plan.rounds,
    )
    verdicts = [
        *against(rows, "dfud", "C loop", "files/s", 0.4),
        *against(rows, "dfud", "OpenMSIStream", "files/s", 1000),
    ]
    notes = [
        "Of these, only dfud and OpenMSIStream record what was delivered; only dfud and the C loop with headers "
        "and digests send those.",
        f"OpenMSIStream was given {less.files} files.",
    ]
    return contest_answer(TITLE, rows, "files/s", verdicts, notes)


QUESTION = Question("small", TITLE, ask)
