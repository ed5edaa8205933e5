"""The benchmarks, one per module; `ALL` has them in the order in which they run."""

from __future__ import annotations

from benchmarks.benchmark import Benchmark
from benchmarks.suite import (
    again,
    chunks,
    compression,
    display,
    idle,
    large,
    latency,
    line,
    linger,
    many,
    memory,
    openmsi,
    partitions,
    reading,
    reading_small,
    receipts,
    scaling,
    sharing,
    small,
    start,
    threads,
    tls,
    versions,
)

_MODULES = (
    large, small, linger, chunks, threads, partitions, compression, tls, line, openmsi,
    reading, reading_small, receipts, sharing, latency, start, again, idle, many, memory, scaling, display,
    versions,
)  # fmt: skip

ALL: dict[str, Benchmark] = {module.BENCHMARK.name: module.BENCHMARK for module in _MODULES}
