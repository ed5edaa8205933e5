"""Reading a topic back: `dfud download` and `dfud verify` against a C consumer loop and kcat."""

from __future__ import annotations

import shutil
from functools import partial
from pathlib import Path

from benchmarks import datasets
from benchmarks.benchmark import Benchmark, Plan, Result, comparison_result, ratio_verdicts
from benchmarks.command import Command
from benchmarks.comparison import Trial, run_rounds
from benchmarks.datasets import MIB, Dataset
from benchmarks.peers import c_loop
from benchmarks.peers.dfud_upload import DFUD, Dfud
from benchmarks.peers.job import Job
from benchmarks.testbed import Measurement, Testbed
from dfud.broker import client_config

TITLE = "Reading 2 GiB back"
# At the end of a partition the broker waits half a second before it sends an empty answer, unless asked for less.
_QUICK_END = "fetch.wait.max.ms=10"
TARGET = 0.8  # of the C loop's speed, for a verification
DOWNLOAD_TARGET = 0.9  # of the slower of reading and writing alone


def run(testbed: Testbed, plan: Plan) -> Result:
    """Compare all programs that can read a topic."""
    # Many files, because each lies in one partition: a few would be spread unevenly over the readers.
    data = Dataset(64, (1 if plan.quick else 32) * MIB)
    folder = testbed.folder(data)
    topic = testbed.create_topic()
    config = client_config.write(testbed.work / "reader.config", testbed.bootstrap)
    target = testbed.work / "downloaded"
    try:
        testbed.measure(Dfud().command(Job(folder, data, topic, testbed.bootstrap, testbed.work)))
        where = ("--config", str(config), "--topic_name", topic)
        trials = [
            Trial(
                "dfud download",
                partial(
                    measure_writing,
                    testbed,
                    target,
                    Command([str(DFUD), "download", str(target), *where, "--once"]),
                ),
                data.files,
                data.bytes,
            ),
            Trial(
                "dfud verify",
                partial(testbed.measure, Command([str(DFUD), "verify", str(folder), *where])),
                data.files,
                data.bytes,
            ),
            Trial(
                "C loop",
                partial(
                    testbed.measure,
                    Command([str(c_loop.build(c_loop.CONSUMER).path), testbed.bootstrap, topic, _QUICK_END]),
                ),
                data.files,
                data.bytes,
                c_loop.build(c_loop.CONSUMER).missing,
            ),
            Trial(
                "kcat -C",
                partial(
                    testbed.measure,
                    Command(
                        [
                            "sh",
                            "-c",
                            f"exec kcat -C -q -e -X {_QUICK_END} -b {testbed.bootstrap} -t {topic} >/dev/null",
                        ]
                    ),
                ),
                data.files,
                data.bytes,
                "" if shutil.which("kcat") else "there is no kcat (Debian: apt install kcat)",
            ),
            Trial(
                "dd to the same disk",
                partial(
                    measure_writing,
                    testbed,
                    target,
                    Command(
                        [
                            *("dd", "if=/dev/zero", f"of={target / 'zeros'}", "bs=1M"),
                            *(f"count={data.bytes // MIB}", "conv=fsync"),
                        ]
                    ),
                ),
                data.files,
                data.bytes,
            ),
        ]
        rows = run_rounds(trials, plan.rounds, testbed.announce)
    finally:
        shutil.rmtree(target, ignore_errors=True)
        datasets.remove_logs(folder)
        testbed.delete_topic(topic)
    limits = [
        verdict
        for alone in ("C loop", "dd to the same disk")
        for verdict in ratio_verdicts(rows, "dfud download", alone, "MB/s", DOWNLOAD_TARGET)
    ]
    verdicts = [
        *sorted(limits, key=lambda verdict: verdict.value)[-1:],  # the slower one sets the target
        *ratio_verdicts(rows, "dfud verify", "C loop", "MB/s", TARGET),
    ]
    notes = [
        "The C loop and kcat neither write nor verify anything; dfud download writes, verifies and syncs all "
        "files. dd writes the same number of zeros to the same disk and syncs them: no download can be faster."
    ]
    return comparison_result(TITLE, rows, "MB/s", verdicts, notes)


def measure_writing(testbed: Testbed, target: Path, command: Command) -> Measurement:
    """Measure a command that writes into `target`, an empty directory."""
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir()
    return testbed.measure(command)


BENCHMARK = Benchmark("reading", TITLE, run)
