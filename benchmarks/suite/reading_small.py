"""Reading many small files back: `dfud download` against `tar x` of the same files."""

from __future__ import annotations

import shutil
import subprocess
from functools import partial

from benchmarks import datasets
from benchmarks.benchmark import Benchmark, Plan, Result, comparison_result, ratio_verdicts
from benchmarks.command import Command
from benchmarks.comparison import Trial, run_rounds
from benchmarks.datasets import KIB, Dataset
from benchmarks.peers.dfud_upload import DFUD, Dfud
from benchmarks.peers.job import Job
from benchmarks.suite.reading import measure_writing
from benchmarks.testbed import Testbed
from dfud.broker import client_config

TITLE = "Reading 100,000 files of 1 KiB back"
TARGET = 0.5  # of tar's speed


def run(testbed: Testbed, plan: Plan) -> Result:
    """Compare both in turn, each into an empty directory of the same disk."""
    data = Dataset(5_000 if plan.quick else 100_000, KIB)
    folder = testbed.folder(data)
    topic = testbed.create_topic()
    config = client_config.write(testbed.work / "reader.config", testbed.bootstrap)
    target, archive = testbed.work / "downloaded", testbed.work / "small.tar"
    try:
        testbed.measure(Dfud().command(Job(folder, data, topic, testbed.bootstrap, testbed.work)))
        subprocess.run(["tar", "-C", folder, "--exclude=./LOGS", "-cf", archive, "."], check=True)
        download = Command(
            [str(DFUD), "download", str(target), "--config", str(config), "--topic_name", topic, "--once"]
        )
        unpack = Command(["sh", "-c", f'tar -C "{target}" -xf "{archive}" && sync -f "{target}"'])
        trials = [
            Trial(name, partial(measure_writing, testbed, target, command), data.files, data.bytes)
            for name, command in (("dfud download", download), ("tar x", unpack))
        ]
        rows = run_rounds(trials, plan.rounds, testbed.announce)
    finally:
        shutil.rmtree(target, ignore_errors=True)
        archive.unlink(missing_ok=True)
        datasets.remove_logs(folder)
        testbed.delete_topic(topic)
    notes = [
        "tar reads an archive from the page cache, and `sync -f` after it syncs the file system once. dfud "
        "download verifies both digests of each file, and syncs the file system (`syncfs`) at each of its "
        "checkpoints, the last one before it exits."
    ]
    verdicts = ratio_verdicts(rows, "dfud download", "tar x", "files/s", TARGET)
    return comparison_result(TITLE, rows, "files/s", verdicts, notes)


BENCHMARK = Benchmark("reading_small", TITLE, run)
