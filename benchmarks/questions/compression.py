"""Compressed by librdkafka: bytes of which each second one is 0, as a detector's counts."""

from __future__ import annotations

from benchmarks.answers import Answer, Plan, Question
from benchmarks.datasets import MIB, Dataset
from benchmarks.questions.pairs import Setting, answer_pairs
from benchmarks.stage import Stage

TITLE = "lz4 and zstd"


def ask(stage: Stage, plan: Plan) -> Answer:
    data = Dataset(4, 128 * MIB, compressible=True)
    settings = [
        Setting(codec, properties=(("compression.type", codec),), dataset=data) for codec in ("lz4", "zstd")
    ]
    return answer_pairs(stage, plan, TITLE, settings)


QUESTION = Question("compression", TITLE, ask)
