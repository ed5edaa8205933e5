"""More and fewer producers."""

from __future__ import annotations

from benchmarks.answers import Answer, Plan, Question
from benchmarks.datasets import MIB, Dataset
from benchmarks.questions.pairs import Setting, answer_pairs
from benchmarks.stage import Stage

TITLE = "1, 2, 4 and 8 producers"


def ask(stage: Stage, plan: Plan) -> Answer:
    settings = [
        Setting(f"{number} producer{'s' * (number > 1)}", threads=number, dataset=Dataset(16, 32 * MIB))
        for number in (1, 2, 4, 8)
    ]
    return answer_pairs(stage, plan, TITLE, settings)


QUESTION = Question("threads", TITLE, ask)
