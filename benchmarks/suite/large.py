"""512 MiB in 4 files, 16 KiB chunks: dfud, the C loop, and all other peers."""

from __future__ import annotations

from benchmarks.benchmark import Benchmark, Plan, Result, comparison_result, ratio_verdicts
from benchmarks.comparison import Candidate, compare
from benchmarks.datasets import MIB, Dataset
from benchmarks.peers.c_loop import CLoop
from benchmarks.peers.dfud_upload import Dfud
from benchmarks.peers.java import JavaPerf
from benchmarks.peers.kcat import Kcat
from benchmarks.peers.openmsistream import OpenMsiStream
from benchmarks.peers.python_loop import PythonLoop
from benchmarks.testbed import Testbed

TITLE = "512 MiB in 4 files, 16 KiB chunks"


def run(testbed: Testbed, plan: Plan) -> Result:
    """Compare all programs that can send large files."""
    data = Dataset(4, (16 if plan.quick else 128) * MIB)
    # About ten seconds at 3 MB/s, so that the start of the program counts little.
    less = Dataset(4, (1 if plan.quick else 8) * MIB)
    with_headers = CLoop(2, headers=True)
    rows = compare(
        testbed,
        [
            Candidate(Dfud(), data),
            Candidate(CLoop(), data),
            Candidate(CLoop(2), data),
            Candidate(with_headers, data),
            Candidate(PythonLoop(), data),
            Candidate(JavaPerf(), data),
            Candidate(Kcat(), data),
            Candidate(OpenMsiStream(), less, max_rounds=3),
        ],
        plan.rounds,
    )
    verdicts = [
        *ratio_verdicts(rows, "dfud", "C loop", "MB/s", 1.0),
        *ratio_verdicts(rows, "dfud", "C loop", "MB/s", 1.3, "CPU"),
        *ratio_verdicts(rows, "dfud", with_headers.name, "MB/s", 1.1, "CPU"),
        *ratio_verdicts(rows, "dfud", "OpenMSIStream", "MB/s", 50),
        *ratio_verdicts(rows, "dfud", "Java perf test", "MB/s", 1.5),
    ]
    notes = [f"OpenMSIStream was given {less.bytes // MIB} MiB; the Java perf test reads no files."]
    return comparison_result(TITLE, rows, "MB/s", verdicts, notes)


BENCHMARK = Benchmark("large", TITLE, run)
