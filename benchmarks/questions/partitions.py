"""Topics of few and of many partitions."""

from __future__ import annotations

from benchmarks.answers import Answer, Plan, Question
from benchmarks.datasets import MIB, Dataset
from benchmarks.questions.pairs import Setting, answer_pairs
from benchmarks.stage import Stage

TITLE = "1, 4 and 64 partitions"


def ask(stage: Stage, plan: Plan) -> Answer:
    data = Dataset(512, MIB)  # many files, for a file lies in one partition
    settings = [
        Setting(f"{number} partition{'s' * (number > 1)}", partitions=number, dataset=data)
        for number in (1, 4, 64)
    ]
    return answer_pairs(stage, plan, TITLE, settings)


QUESTION = Question("partitions", TITLE, ask)
