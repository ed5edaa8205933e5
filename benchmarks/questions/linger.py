"""Messages kept back for fuller batches: by how much there is to do, or for a time that is always the same."""

from __future__ import annotations

from benchmarks.answers import Answer, Plan, Question, contest_answer
from benchmarks.contest import Contestant, run_contest
from benchmarks.datasets import KIB, Dataset
from benchmarks.peers.ours import Dfud
from benchmarks.stage import Stage
from benchmarks.statistics import median

TITLE = "100,000 files of 1 KiB, by when messages are sent"


def ask(stage: Stage, plan: Plan) -> Answer:
    data = Dataset(5_000 if plan.quick else 100_000, KIB)
    peers = [
        Dfud("dfud, by load"),
        *(Dfud(f"dfud, linger.ms = {ms}", producer=(("linger.ms", str(ms)),)) for ms in (1, 5, 20)),
    ]
    rows = run_contest(stage, [Contestant(peer, data) for peer in peers], plan.rounds)
    broker = [f"{median([run.broker_cpu for run in row.runs]):.2g} s ({row.name})" for row in rows if row.runs]
    return contest_answer(TITLE, rows, "files/s", [], [f"CPU of the broker: {', '.join(broker)}."])


QUESTION = Question("linger", TITLE, ask)
