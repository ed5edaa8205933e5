"""The memory of all processes over time: a sparse file of 20 GB, then 100,000 files."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.benchmark import Benchmark, Lines, Plan, Result, Series, Table, Verdict, figure
from benchmarks.command import CommandFailedError
from benchmarks.datasets import Dataset, write
from benchmarks.processes import name_of, pss, tree
from benchmarks.testbed import Testbed
from benchmarks.watching import dfud_command, running

TITLE = "Memory with --queue_max_size 64: a sparse file of 20 GB, then 100,000 files"
_SAMPLE_INTERVAL_S = 0.5
_TIMEOUT_S = 900.0
_START_TIMEOUT_S = 60.0
_CHUNK_BYTES = 16384
_MAX_MEMORY_MB = 300


def run(testbed: Testbed, plan: Plan) -> Result:
    """Sample the memory of an upload of both."""
    size, files = (500_000_000, 2_000) if plan.quick else (20_000_000_000, 100_000)
    folder = testbed.work / "watched"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    aside = testbed.work / "aside"
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir()
    write(Dataset(files, 1024), aside)
    # Nothing reads the topic, so the disk need not hold all of it.
    topic = testbed.create_topic(retention_bytes="67108864", segment_bytes="67108864")
    samples: list[tuple[float, float]] = []
    try:
        argv = dfud_command(testbed, folder, topic, "--queue_max_size", "64", "--update_seconds", "-1")
        with running(testbed, argv) as process:
            started = time.monotonic()

            def sample_until(is_done: Callable[[], bool]) -> None:
                while not is_done():
                    time.sleep(_SAMPLE_INTERVAL_S)
                    samples.append((time.monotonic() - started, pss(tree(process.pid)) / 1e6))
                    if time.monotonic() - started > _TIMEOUT_S or process.poll() is not None:
                        raise CommandFailedError(f"not everything was sent within {_TIMEOUT_S:.0f} s")

            wait_until_started(process, testbed, topic, folder)
            idle = pss(tree(process.pid)) / 1e6
            with open(folder / "sparse.new", "wb") as sparse:
                sparse.truncate(size)
            chunks = -(-size // _CHUNK_BYTES)
            sample_until(lambda: testbed.count_messages_ever(topic) >= chunks)
            large_peak = max(mb for _, mb in samples)
            os.rename(aside, folder / "small")
            sample_until(lambda: testbed.count_messages_ever(topic) >= chunks + files)
            names = [f"{name_of(each)} {pss([each]) / 1e6:.0f} MB" for each in tree(process.pid)]
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        shutil.rmtree(aside, ignore_errors=True)
        testbed.delete_topic(topic)
    peak = max(mb for _, mb in samples)
    table = Table(
        ["", "MB (PSS of all processes)"],
        [
            ["idle", figure(idle)],
            [f"{size / 1e9:g} GB in one file, peak", figure(large_peak)],
            [f"then {files:,} files, peak", figure(peak)],
            ["at the end", figure(samples[-1][1])],
        ],
    )
    return Result(
        table,
        [Verdict("peak memory", peak, _MAX_MEMORY_MB, False, "MB")],
        [Lines(TITLE, "s", "MB", [Series("dfud, all processes", samples)])],
        [f"At the end: {', '.join(names)}."],
        samples,
    )


def wait_until_started(process: subprocess.Popen[bytes], testbed: Testbed, topic: str, folder: Path) -> None:
    """Wait until dfud is watching `folder`: an empty file has arrived on the topic."""
    deadline = time.monotonic() + _START_TIMEOUT_S
    number = 0
    while not testbed.count_messages_ever(topic):
        (folder / f"first{number}").touch()
        number += 1
        time.sleep(0.5)
        if process.poll() is not None or time.monotonic() > deadline:
            raise CommandFailedError(f"nothing was sent within {_START_TIMEOUT_S:.0f} s")


BENCHMARK = Benchmark("memory", TITLE, run)
