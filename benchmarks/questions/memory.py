"""The memory of all processes over time: a sparse file of 20 GB, then 100,000 files."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.answers import Answer, Lines, Plan, Question, Series, Table, Verdict, figure
from benchmarks.command import CommandFailed
from benchmarks.datasets import Dataset, write
from benchmarks.processes import name_of, pss, tree
from benchmarks.stage import Stage
from benchmarks.watching import dfud_command, running

TITLE = "Memory with --queue_max_size 64: a sparse file of 20 GB, then 100,000 files"
_MIN_INTERVAL_S = 0.5  # s
_BROKER_TIMEOUT_S = 900.0  # s


def ask(stage: Stage, plan: Plan) -> Answer:
    size, files = (500_000_000, 2_000) if plan.quick else (20_000_000_000, 100_000)
    folder = stage.work / "watched"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    aside = stage.work / "aside"
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir()
    write(Dataset(files, 1024), aside)
    # What is on the topic is not looked at: the disk need not hold it.
    topic = stage.create_topic(retention_bytes="67108864", segment_bytes="67108864")
    samples: list[tuple[float, float]] = []
    try:
        argv = dfud_command(stage, folder, topic, "--queue_max_size", "64", "--update_seconds", "-1")
        with running(stage, argv) as process:
            began = time.monotonic()

            def sample_until(is_done: Callable[[], bool]) -> None:
                while not is_done():
                    time.sleep(_MIN_INTERVAL_S)
                    samples.append((time.monotonic() - began, pss(tree(process.pid)) / 1e6))
                    if time.monotonic() - began > _BROKER_TIMEOUT_S or process.poll() is not None:
                        raise CommandFailed("not all was sent in a quarter of an hour")

            wait_until_started(process, stage, topic, folder)
            idle = pss(tree(process.pid)) / 1e6
            with open(folder / "sparse.new", "wb") as sparse:
                sparse.truncate(size)
            wanted = -(-size // 16384)
            sample_until(lambda: stage.messages_ever(topic) >= wanted)
            large = max(mb for _, mb in samples)
            os.rename(aside, folder / "small")
            sample_until(lambda: stage.messages_ever(topic) >= wanted + files)
            names = [f"{name_of(each)} {pss([each]) / 1e6:.0f} MB" for each in tree(process.pid)]
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        shutil.rmtree(aside, ignore_errors=True)
        stage.delete_topic(topic)
    most = max(mb for _, mb in samples)
    table = Table(
        ["", "MB (PSS of all processes)"],
        [
            ["idle", figure(idle)],
            [f"{size / 1e9:g} GB in one file, most", figure(large)],
            [f"then {files:,} files, most", figure(most)],
            ["at the end", figure(samples[-1][1])],
        ],
    )
    return Answer(
        table,
        [Verdict("most memory", most, 300, False, "MB")],
        [Lines(TITLE, "s", "MB", [Series("dfud, all processes", samples)])],
        [f"At the end: {', '.join(names)}."],
        samples,
    )


def wait_until_started(process: subprocess.Popen[bytes], stage: Stage, topic: str, folder: Path) -> None:
    """Wait until dfud watches: an empty file is on the topic."""
    deadline = time.monotonic() + 60
    number = 0
    while not stage.messages_ever(topic):
        (folder / f"first{number}").touch()
        number += 1
        time.sleep(0.5)
        if process.poll() is not None or time.monotonic() > deadline:
            raise CommandFailed("nothing was sent in a minute")


QUESTION = Question("memory", TITLE, ask)
