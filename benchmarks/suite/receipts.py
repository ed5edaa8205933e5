"""What receipts cost a download of many small files, each of which has one."""

from __future__ import annotations

import itertools
import shutil
from functools import partial

from benchmarks import datasets
from benchmarks.benchmark import Benchmark, Plan, Result, Verdict, comparison_result
from benchmarks.command import Command
from benchmarks.comparison import Trial, run_rounds
from benchmarks.datasets import KIB, Dataset
from benchmarks.peers.dfud_upload import DFUD, Dfud
from benchmarks.peers.job import Job
from benchmarks.statistics import ratio
from benchmarks.suite.reading import measure_writing
from benchmarks.testbed import Measurement, Testbed
from dfud.broker import client_config

TITLE = "Receiving 60,000 files of 1 KiB, with and without receipts"
TARGET = 1.2  # times the CPU time without


def run(testbed: Testbed, plan: Plan) -> Result:
    """Compare both in turn."""
    data = Dataset(2_000 if plan.quick else 60_000, KIB)
    folder = testbed.folder(data)
    topic = testbed.create_topic()
    config = client_config.write(testbed.work / "receiver.config", testbed.bootstrap)
    target = testbed.work / "received"
    words = [str(DFUD), "download", str(target), "--config", str(config), "--topic_name", topic, "--once"]
    numbers = itertools.count(1)

    def measure_with() -> Measurement:
        receipts = f"{topic}-receipts-{next(numbers)}"
        try:
            return measure_writing(testbed, target, Command([*words, "--receipts", receipts]))
        finally:
            testbed.delete_topic(receipts)

    try:
        testbed.measure(Dfud().command(Job(folder, data, topic, testbed.bootstrap, testbed.work)))
        without = partial(measure_writing, testbed, target, Command(words))
        trials = [
            Trial("without receipts", without, data.files, data.bytes),
            Trial("with receipts", measure_with, data.files, data.bytes),
        ]
        rows = run_rounds(trials, plan.rounds, testbed.announce)
    finally:
        shutil.rmtree(target, ignore_errors=True)
        datasets.remove_logs(folder)
        testbed.delete_topic(topic)
    verdicts = []
    if all(row.runs for row in rows):
        one, other = rows
        cpu = ratio(other.cpu_per_file, one.cpu_per_file)
        verdicts.append(Verdict("CPU, with vs. without receipts", cpu, TARGET, at_least=False))
    return comparison_result(TITLE, rows, "files/s", verdicts)


BENCHMARK = Benchmark("receipts", TITLE, run)
