"""Compression by librdkafka, of data in which every second byte is 0, like a detector's counts."""

from __future__ import annotations

from benchmarks.benchmark import Benchmark, Plan, Result
from benchmarks.datasets import MIB, Dataset
from benchmarks.suite.pairs import Setting, compare_settings
from benchmarks.testbed import Testbed

TITLE = "lz4 and zstd"


def run(testbed: Testbed, plan: Plan) -> Result:
    """Compare dfud with the C loop for each codec."""
    data = Dataset(4, 128 * MIB, compressible=True)
    settings = [
        Setting(codec, properties=(("compression.type", codec),), dataset=data) for codec in ("lz4", "zstd")
    ]
    return compare_settings(testbed, plan, TITLE, settings)


BENCHMARK = Benchmark("compression", TITLE, run)
