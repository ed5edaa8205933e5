"""OpenMSIStream's messages, SHA-512 twice and msgpack, against our own."""

from __future__ import annotations

from benchmarks.answers import Answer, Plan, Question, against, contest_answer
from benchmarks.contest import Contestant, run_contest
from benchmarks.datasets import MIB, Dataset
from benchmarks.peers.openmsistream import SERIALIZERS
from benchmarks.peers.ours import Dfud
from benchmarks.stage import Stage

TITLE = "OpenMSIStream's messages"


def ask(stage: Stage, plan: Plan) -> Answer:
    data = Dataset(4, (16 if plan.quick else 128) * MIB)
    theirs = Dfud("dfud, OpenMSIStream's messages", producer=SERIALIZERS)
    rows = run_contest(stage, [Contestant(Dfud(), data), Contestant(theirs, data)], plan.rounds)
    return contest_answer(TITLE, rows, "MB/s", against(rows, theirs.name, "dfud", "MB/s", 0.5))


QUESTION = Question("openmsi", TITLE, ask)
