"""OpenMSIStream's messages (SHA-512 twice, MessagePack) compared with dfud's own."""

from __future__ import annotations

from benchmarks.benchmark import Benchmark, Plan, Result, comparison_result, ratio_verdicts
from benchmarks.comparison import Candidate, compare
from benchmarks.datasets import MIB, Dataset
from benchmarks.peers.dfud_upload import Dfud
from benchmarks.peers.openmsistream import SERIALIZERS
from benchmarks.testbed import Testbed

TITLE = "OpenMSIStream's messages"


def run(testbed: Testbed, plan: Plan) -> Result:
    """Compare dfud with itself in the two wire formats."""
    data = Dataset(4, (16 if plan.quick else 128) * MIB)
    theirs = Dfud("dfud, OpenMSIStream's messages", producer=SERIALIZERS)
    rows = compare(testbed, [Candidate(Dfud(), data), Candidate(theirs, data)], plan.rounds)
    return comparison_result(TITLE, rows, "MB/s", ratio_verdicts(rows, theirs.name, "dfud", "MB/s", 0.5))


BENCHMARK = Benchmark("openmsi", TITLE, run)
