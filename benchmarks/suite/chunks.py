"""Chunk sizes other than the default."""

from __future__ import annotations

from benchmarks.benchmark import Benchmark, Plan, Result
from benchmarks.datasets import KIB, MIB, Dataset
from benchmarks.suite.pairs import Setting, compare_settings
from benchmarks.testbed import Testbed

TITLE = "Chunks of 1 KiB, 128 KiB and 1 MiB"


def run(testbed: Testbed, plan: Plan) -> Result:
    """Compare dfud with the C loop at each chunk size."""
    settings = [
        Setting("chunks of 1 KiB", KIB, dataset=Dataset(4, 64 * MIB)),
        Setting("chunks of 128 KiB", 128 * KIB),
        Setting("chunks of 1 MiB", MIB),
    ]
    return compare_settings(testbed, plan, TITLE, settings)


BENCHMARK = Benchmark("chunks", TITLE, run)
