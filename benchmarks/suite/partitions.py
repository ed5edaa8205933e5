"""Topics with few and with many partitions."""

from __future__ import annotations

from benchmarks.benchmark import Benchmark, Plan, Result
from benchmarks.datasets import MIB, Dataset
from benchmarks.suite.pairs import Setting, compare_settings
from benchmarks.testbed import Testbed

TITLE = "1, 4 and 64 partitions"


def run(testbed: Testbed, plan: Plan) -> Result:
    """Compare dfud with the C loop for each number of partitions."""
    data = Dataset(512, MIB)  # many files, because each lies in one partition
    settings = [
        Setting(f"{number} partition{'s' * (number > 1)}", partitions=number, dataset=data)
        for number in (1, 4, 64)
    ]
    return compare_settings(testbed, plan, TITLE, settings)


BENCHMARK = Benchmark("partitions", TITLE, run)
