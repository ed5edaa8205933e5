"""How long messages wait for fuller batches: depending on the load, or always for the same time."""

from __future__ import annotations

from benchmarks.benchmark import Benchmark, Plan, Result, comparison_result
from benchmarks.comparison import Candidate, compare
from benchmarks.datasets import KIB, Dataset
from benchmarks.peers.dfud_upload import Dfud
from benchmarks.statistics import median
from benchmarks.testbed import Testbed

TITLE = "100,000 files of 1 KiB, by linger time"


def run(testbed: Testbed, plan: Plan) -> Result:
    """Compare dfud with itself at several values of `linger.ms`."""
    data = Dataset(5_000 if plan.quick else 100_000, KIB)
    peers = [
        Dfud("dfud, by load"),
        *(Dfud(f"dfud, linger.ms = {ms}", producer=(("linger.ms", str(ms)),)) for ms in (1, 5, 20)),
    ]
    rows = compare(testbed, [Candidate(peer, data) for peer in peers], plan.rounds)
    broker = [f"{median([run.broker_cpu for run in row.runs]):.2g} s ({row.name})" for row in rows if row.runs]
    return comparison_result(TITLE, rows, "files/s", [], [f"CPU time of the broker: {', '.join(broker)}."])


BENCHMARK = Benchmark("linger", TITLE, run)
