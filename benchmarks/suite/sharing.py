"""Several downloads that share a topic by a consumer group, against one download of the same topic.

Once on the machine as it is, where all of them share its cores, and once with downloads that the broker limits by
a quota, each by itself, as if each were on a machine with a line of its own: that shows whether the topic is
shared out evenly, and how long that takes, however few cores there are.
"""

from __future__ import annotations

import itertools
import os
import shlex
import shutil
from collections.abc import Sequence
from pathlib import Path

from benchmarks import datasets
from benchmarks.benchmark import Benchmark, Plan, Result, comparison_result, ratio_verdicts
from benchmarks.command import Command
from benchmarks.comparison import Trial, TrialResult, run_rounds
from benchmarks.datasets import MIB, Dataset
from benchmarks.peers.dfud_upload import DFUD, Dfud
from benchmarks.peers.job import Job
from benchmarks.suite.reading import measure_writing
from benchmarks.testbed import Testbed
from dfud.broker import client_config
from tests.helpers.quotas import limit_consumer

TITLE = "Four downloads that share a topic"
_DOWNLOADS = 4
_LIMIT_MIB_PER_S = 8  # of each download, on the second broker
_LIMITED_BROKER = {"quota.window.num": "2"}  # otherwise nothing is limited in the first ten seconds
TARGET = 2.5  # times the speed of one, where there are cores for all of them and the broker


def run(testbed: Testbed, plan: Plan) -> Result:
    """Compare four downloads, of one process each, with one."""
    free = _compare(testbed, plan, Dataset(256, (1 if plan.quick else 8) * MIB), 0)
    with Testbed(testbed.work, testbed.announce, _LIMITED_BROKER, "limited") as other:
        data = Dataset(256, MIB // (8 if plan.quick else 1))
        limited = _compare(other, plan, data, _LIMIT_MIB_PER_S * MIB)
    notes = [
        f"Each download has one process and a directory of its own; all are members of one consumer group. This "
        f"machine has {os.cpu_count()} cores for them and the broker; the target is for one with more than "
        f"{_DOWNLOADS}. The times include that the members find one another.",
        f"The limited downloads get {_LIMIT_MIB_PER_S} MiB/s each from the broker, by a quota, as if each had a "
        "line of its own.",
    ]
    verdicts = [
        verdict
        for rows, kind in ((free, ""), (limited, ", limited"))
        for verdict in ratio_verdicts(rows, _name(_DOWNLOADS, kind), _name(1, kind), "MB/s", TARGET)
    ]
    return comparison_result(TITLE, [*free, *limited], "MB/s", verdicts, notes)


def _compare(testbed: Testbed, plan: Plan, data: Dataset, limit: int) -> list[TrialResult]:
    """Download a dataset of many files, as each lies in one partition; `limit` is in bytes/s, 0 for none."""
    folder = testbed.folder(data)
    topic = testbed.create_topic(partitions=4 * _DOWNLOADS)
    configs = [_config(testbed, number, limit) for number in range(_DOWNLOADS)]
    target = testbed.work / "shared"
    groups = (f"sharing-{number}" for number in itertools.count())
    try:
        testbed.measure(Dfud().command(Job(folder, data, topic, testbed.bootstrap, testbed.work)))
        trials = [
            Trial(
                _name(number, ", limited" if limit else ""),
                lambda number=number: measure_writing(  # type: ignore[misc]
                    testbed, target, _downloads(target, configs[:number], topic, next(groups))
                ),
                data.files,
                data.bytes,
            )
            for number in (1, _DOWNLOADS)
        ]
        return run_rounds(trials, plan.rounds, testbed.announce)
    finally:
        shutil.rmtree(target, ignore_errors=True)
        datasets.remove_logs(folder)
        testbed.delete_topic(topic)


def _name(number: int, kind: str) -> str:
    return f"{number} download{'s' * (number > 1)}{kind}"


def _config(testbed: Testbed, number: int, limit: int) -> Path:
    """Write the configuration of one download, whose client the broker limits to `limit` bytes/s, if any."""
    client = f"sharing-{number}"
    if limit:
        limit_consumer(testbed.node.internal_bootstrap, client, limit)
    return client_config.write(testbed.work / f"{client}.config", testbed.bootstrap, {"client.id": client})


def _downloads(target: Path, configs: Sequence[Path], topic: str, group: str) -> Command:
    """Return the command that runs a download for each configuration, and ends with the last of them."""
    words = ["--topic_name", topic, "--once", "--n_threads", "1", "--consumer_group_id", group]
    lines = [
        shlex.join([str(DFUD), "download", str(target / str(n)), "--config", str(config), *words])
        for n, config in enumerate(configs)
    ]
    return Command(["sh", "-c", f"{' & '.join(lines)} & wait"])


BENCHMARK = Benchmark("sharing", TITLE, run)
