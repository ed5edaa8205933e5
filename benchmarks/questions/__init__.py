"""The questions, one a module; `ALL` has them in the order in which they are asked."""

from __future__ import annotations

from benchmarks.answers import Question
from benchmarks.questions import large, small

ALL: dict[str, Question] = {question.name: question for question in (large.QUESTION, small.QUESTION)}
