"""Chunks of other sizes than the default."""

from __future__ import annotations

from benchmarks.answers import Answer, Plan, Question
from benchmarks.datasets import KIB, MIB, Dataset
from benchmarks.questions.pairs import Setting, answer_pairs
from benchmarks.stage import Stage

TITLE = "Chunks of 1 KiB, 128 KiB and 1 MiB"


def ask(stage: Stage, plan: Plan) -> Answer:
    settings = [
        Setting("chunks of 1 KiB", KIB, dataset=Dataset(4, 64 * MIB)),
        Setting("chunks of 128 KiB", 128 * KIB),
        Setting("chunks of 1 MiB", MIB),
    ]
    return answer_pairs(stage, plan, TITLE, settings)


QUESTION = Question("chunks", TITLE, ask)
