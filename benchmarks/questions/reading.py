"""Reading a topic back: `dfud download` and `dfud verify` against a C consumer loop and kcat."""

from __future__ import annotations

import shutil
import subprocess
from functools import partial
from pathlib import Path

from benchmarks import datasets
from benchmarks.answers import Answer, Plan, Question, against, contest_answer
from benchmarks.command import Command
from benchmarks.contest import Entry, in_turn
from benchmarks.datasets import MIB, Dataset
from benchmarks.peers import floor
from benchmarks.peers.job import Job
from benchmarks.peers.ours import DFUD, Dfud
from benchmarks.stage import Measured, Stage
from dfud.broker import client_config

TITLE = "Reading 2 GiB back"
# A partition's end is told by an empty answer, for which a broker waits half a second unless asked for less.
_QUICK_END = "fetch.wait.max.ms=10"
TARGET = 0.8  # of the C loop's speed


def lacks(subcommand: str) -> str:
    """Return why `dfud subcommand` can't be measured, or nothing."""
    tried = subprocess.run([str(DFUD), subcommand, "--help"], capture_output=True, check=False)
    return f"dfud has no {subcommand} yet" if tried.returncode else ""


def ask(stage: Stage, plan: Plan) -> Answer:
    # A file lies in one partition: with a few only, luck decides which reader has how much.
    data = Dataset(64, (1 if plan.quick else 32) * MIB)
    folder = stage.folder(data)
    topic = stage.create_topic()
    config = client_config.write(stage.work / "reader.config", stage.bootstrap)
    target = stage.work / "downloaded"
    try:
        stage.measure(Dfud().command(Job(folder, data, topic, stage.bootstrap, stage.work)))
        where = ("--config", str(config), "--topic_name", topic)
        entries = [
            Entry(
                "dfud download",
                partial(_into_new, stage, target, Command([str(DFUD), "download", str(target), *where, "--once"])),
                data.files,
                data.bytes,
                lacks("download"),
            ),
            Entry(
                "dfud verify",
                partial(stage.measure, Command([str(DFUD), "verify", str(folder), *where])),
                data.files,
                data.bytes,
                lacks("verify"),
            ),
            Entry(
                "C loop",
                partial(
                    stage.measure,
                    Command([str(floor.build("floor_consume.c").path), stage.bootstrap, topic, _QUICK_END]),
                ),
                data.files,
                data.bytes,
                floor.build("floor_consume.c").missing,
            ),
            Entry(
                "kcat -C",
                partial(
                    stage.measure,
                    Command(
                        [
                            "sh",
                            "-c",
                            f"exec kcat -C -q -e -X {_QUICK_END} -b {stage.bootstrap} -t {topic} >/dev/null",
                        ]
                    ),
                ),
                data.files,
                data.bytes,
                "" if shutil.which("kcat") else "there is no kcat (Debian: apt install kcat)",
            ),
            Entry(
                "dd to the same disk",
                partial(
                    _into_new,
                    stage,
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
        rows = in_turn(entries, plan.rounds, stage.say)
    finally:
        shutil.rmtree(target, ignore_errors=True)
        datasets.forget_logs(folder)
        stage.delete_topic(topic)
    verdicts = [
        *against(rows, "dfud download", "C loop", "MB/s", TARGET),
        *against(rows, "dfud verify", "C loop", "MB/s", TARGET),
    ]
    notes = [
        "The C loop and kcat write nothing and check nothing; dfud download writes, checks and syncs all files. "
        "dd writes as many zeros to the same disk, and syncs them: no download can be faster."
    ]
    return contest_answer(TITLE, rows, "MB/s", verdicts, notes)


def _into_new(stage: Stage, target: Path, command: Command) -> Measured:
    """Measure a command that writes into `target`, which is made anew."""
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir()
    return stage.measure(command)


QUESTION = Question("reading", TITLE, ask)
