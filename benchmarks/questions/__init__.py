"""The questions, one a module; `ALL` has them in the order in which they are asked."""

from __future__ import annotations

from benchmarks.answers import Question
from benchmarks.questions import (
    chunks,
    compression,
    idle,
    large,
    latency,
    linger,
    memory,
    openmsi,
    partitions,
    reading,
    scaling,
    small,
    start,
    threads,
    tls,
)

_MODULES = (
    large, small, linger, chunks, threads, partitions, compression, tls,
    openmsi, reading, latency, start, idle, memory, scaling,
)  # fmt: skip

ALL: dict[str, Question] = {module.QUESTION.name: module.QUESTION for module in _MODULES}
