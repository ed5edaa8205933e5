"""A great many very small files."""

from __future__ import annotations

from benchmarks.benchmark import Benchmark, Plan, Result, comparison_result, ratio_verdicts
from benchmarks.comparison import Candidate, compare
from benchmarks.datasets import KIB, Dataset
from benchmarks.peers.c_loop import CLoop
from benchmarks.peers.dfud_upload import Dfud
from benchmarks.peers.kcat import Kcat
from benchmarks.peers.openmsistream import OpenMsiStream
from benchmarks.peers.python_loop import PythonLoop
from benchmarks.testbed import Testbed

TITLE = "100,000 files of 1 KiB"


def run(testbed: Testbed, plan: Plan) -> Result:
    """Compare all programs that can send small files."""
    data = Dataset(5_000 if plan.quick else 100_000, KIB)
    less = Dataset(50 if plan.quick else 200, KIB)  # at 20 files/s
    rows = compare(
        testbed,
        [
            Candidate(Dfud(), data),
            Candidate(CLoop(), data),
            Candidate(CLoop(2, headers=True), data),
            Candidate(PythonLoop(), data),
            Candidate(Kcat(), data),
            Candidate(OpenMsiStream(), less, max_rounds=3),
        ],
        plan.rounds,
    )
    verdicts = [
        *ratio_verdicts(rows, "dfud", "C loop", "files/s", 0.4),
        *ratio_verdicts(rows, "dfud", "OpenMSIStream", "files/s", 1000),
    ]
    notes = [
        "Only dfud and OpenMSIStream record what was delivered; only dfud and the C loop with headers and digests "
        "send headers and digests.",
        f"OpenMSIStream was given {less.files} files.",
    ]
    return comparison_result(TITLE, rows, "files/s", verdicts, notes)


BENCHMARK = Benchmark("small", TITLE, run)
