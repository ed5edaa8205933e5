"""Several downloads that share a topic by a consumer group, against one download of the same topic."""

from __future__ import annotations

import itertools
import os
import shlex
import shutil
from pathlib import Path

from benchmarks import datasets
from benchmarks.benchmark import Benchmark, Plan, Result, comparison_result, ratio_verdicts
from benchmarks.command import Command
from benchmarks.comparison import Trial, run_rounds
from benchmarks.datasets import MIB, Dataset
from benchmarks.peers.dfud_upload import DFUD, Dfud
from benchmarks.peers.job import Job
from benchmarks.suite.reading import measure_writing
from benchmarks.testbed import Testbed
from dfud.broker import client_config

TITLE = "Four downloads that share a topic"
_DOWNLOADS = 4
TARGET = 2.5  # times the speed of one, where there are cores for all of them and the broker


def run(testbed: Testbed, plan: Plan) -> Result:
    """Compare four downloads, of one process each, with one."""
    data = Dataset(256, (1 if plan.quick else 8) * MIB)  # many files, because each lies in one partition
    folder = testbed.folder(data)
    topic = testbed.create_topic()
    config = client_config.write(testbed.work / "sharing.config", testbed.bootstrap)
    target = testbed.work / "shared"
    groups = (f"sharing-{number}" for number in itertools.count())
    try:
        testbed.measure(Dfud().command(Job(folder, data, topic, testbed.bootstrap, testbed.work)))
        trials = [
            Trial(
                f"{number} download{'s' * (number > 1)}",
                lambda number=number: measure_writing(  # type: ignore[misc]
                    testbed, target, _downloads(target, number, config, topic, next(groups))
                ),
                data.files,
                data.bytes,
            )
            for number in (1, _DOWNLOADS)
        ]
        rows = run_rounds(trials, plan.rounds, testbed.announce)
    finally:
        shutil.rmtree(target, ignore_errors=True)
        datasets.remove_logs(folder)
        testbed.delete_topic(topic)
    notes = [
        f"Each download has one process and a directory of its own; all are members of one consumer group. This "
        f"machine has {os.cpu_count()} cores for them and the broker; the target is for one with more than "
        f"{_DOWNLOADS}. The times include that the members find one another."
    ]
    verdicts = ratio_verdicts(rows, f"{_DOWNLOADS} downloads", "1 download", "MB/s", TARGET)
    return comparison_result(TITLE, rows, "MB/s", verdicts, notes)


def _downloads(target: Path, number: int, config: Path, topic: str, group: str) -> Command:
    """Return the command that runs so many downloads at the same time, and ends with the last of them."""
    words = [
        "--config",
        str(config),
        "--topic_name",
        topic,
        "--once",
        "--n_threads",
        "1",
        "--consumer_group_id",
        group,
    ]
    lines = [shlex.join([str(DFUD), "download", str(target / str(n)), *words]) for n in range(number)]
    return Command(["sh", "-c", f"{' & '.join(lines)} & wait"])


BENCHMARK = Benchmark("sharing", TITLE, run)
