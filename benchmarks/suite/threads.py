"""Different numbers of producers."""

from __future__ import annotations

from benchmarks.benchmark import Benchmark, Plan, Result
from benchmarks.datasets import MIB, Dataset
from benchmarks.suite.pairs import Setting, compare_settings
from benchmarks.testbed import Testbed

TITLE = "1, 2, 4 and 8 producers"


def run(testbed: Testbed, plan: Plan) -> Result:
    """Compare dfud with the C loop for each number of producers."""
    settings = [
        Setting(f"{number} producer{'s' * (number > 1)}", threads=number, dataset=Dataset(16, 32 * MIB))
        for number in (1, 2, 4, 8)
    ]
    return compare_settings(testbed, plan, TITLE, settings)


BENCHMARK = Benchmark("threads", TITLE, run)
