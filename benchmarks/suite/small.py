"""A great many very small files."""

from __future__ import annotations

from benchmarks.benchmark import Benchmark, Plan, Result, comparison_result, ratio_verdicts
from benchmarks.comparison import Candidate, run_rounds, trial_of
from benchmarks.datasets import KIB, Dataset
from benchmarks.peers.c_loop import CLoop
from benchmarks.peers.dfud_upload import Dfud
from benchmarks.peers.file_copiers import RCLONE, RSYNC
from benchmarks.peers.kcat import Kcat
from benchmarks.peers.openmsistream import OpenMsiStream
from benchmarks.peers.python_loop import PythonLoop
from benchmarks.testbed import Testbed

TITLE = "100,000 files of 1 KiB"


def run(testbed: Testbed, plan: Plan) -> Result:
    """Compare all programs that can send small files."""
    data = Dataset(5_000 if plan.quick else 100_000, KIB)
    fewer = Dataset(1_000, KIB)  # at 30 to 1,000 files/s
    least = Dataset(50 if plan.quick else 200, KIB)  # at 20 files/s
    with_headers = CLoop(2, headers=True)
    candidates = [
        Candidate(Dfud(), data),
        Candidate(CLoop(), data),
        Candidate(with_headers, data),
        Candidate(PythonLoop(), data),
        Candidate(Kcat(), data),
        Candidate(OpenMsiStream(), least, max_rounds=3),
    ]
    trials = [
        *(trial_of(testbed, each) for each in candidates),
        RSYNC.trial(testbed, data),
        RCLONE.trial(testbed, fewer, max_rounds=3),
    ]
    rows = run_rounds(trials, plan.rounds, testbed.announce)
    verdicts = [
        verdict
        for name, target in (
            ("C loop", 0.5),
            (with_headers.name, 0.6),
            (RSYNC.name, 3),
            (RCLONE.name, 5),
            ("OpenMSIStream", 1000),
        )
        for verdict in ratio_verdicts(rows, "dfud", name, "files/s", target)
    ]
    notes = [
        "Only dfud and OpenMSIStream record what was delivered; only dfud and the C loop with headers and digests "
        "send headers and digests.",
        "rsync copies to its daemon, and rclone to `rclone serve webdav`, on the same machine and with their "
        "defaults; neither syncs what it has written.",
        f"OpenMSIStream was given {least.files} files, rclone {fewer.files:,}.",
    ]
    return comparison_result(TITLE, rows, "files/s", verdicts, notes)


BENCHMARK = Benchmark("small", TITLE, run)
