"""What each of many uploads on one machine uses while nothing happens."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import statistics
import time
from pathlib import Path

from benchmarks.benchmark import Benchmark, Plan, Result, Table, figure
from benchmarks.command import CommandFailedError
from benchmarks.processes import pss, tree, usage
from benchmarks.testbed import Testbed
from benchmarks.watching import dfud_command, running

TITLE = "Many uploads on one machine, idle"
_UPLOADS, _QUICK_UPLOADS = 100, 3
_START_TIMEOUT_S = 600.0
_SETTLE_S = 10.0  # the tables are written within this time


def run(testbed: Testbed, plan: Plan) -> Result:
    """Measure CPU, memory and descriptors of uploads that all wait for files."""
    number, seconds = (_QUICK_UPLOADS, 5) if plan.quick else (_UPLOADS, 60)
    top = testbed.work / "watched"
    shutil.rmtree(top, ignore_errors=True)
    topics = [testbed.create_topic(partitions=1) for _ in range(number)]
    canaries = testbed.create_topic(partitions=1)
    names, figures = [], []
    try:
        for name, options in (
            ("as by default", ()),
            ("with one thread", ("--n_threads", "1")),
            ("with a canary a minute", ("--canary", "60", "--canary_topic_name", canaries)),
        ):
            names.append(name)
            figures.append(_measure(testbed, top / name.replace(" ", "-"), topics, options, seconds))
    finally:
        shutil.rmtree(top, ignore_errors=True)
        for topic in (*topics, canaries):
            testbed.delete_topic(topic)
    columns = ["", "% of a core each", "MB each (PSS)", "descriptors each", "processes each", "s until all watch"]
    table = Table(columns, [[name, *map(figure, values)] for name, values in zip(names, figures)])
    notes = [f"Medians of {number} uploads that run at the same time, each of its own topic."]
    return Result(table, [], (), notes, figures)


def _measure(
    testbed: Testbed, top: Path, topics: list[str], options: tuple[str, ...], seconds: int
) -> tuple[float, ...]:
    """Run an upload for each topic; return what each uses, and how long it took to start them all."""
    with contextlib.ExitStack() as stack:
        began = time.monotonic()
        supervisors = []
        for topic in topics:
            folder = top / topic
            folder.mkdir(parents=True)
            argv = dfud_command(testbed, folder, topic, "--update_seconds", "-1", *options)
            supervisors.append(stack.enter_context(running(testbed, argv)).pid)
        for topic in topics:
            _wait_until_watching(top / topic / "LOGS" / f"upload_to_{topic}_status.json")
        started_s = time.monotonic() - began
        time.sleep(_SETTLE_S)
        trees = [tree(pid) for pid in supervisors]
        before = [sum(usage(pid).cpu for pid in pids) for pids in trees]
        time.sleep(seconds)
        after = [sum(usage(pid).cpu for pid in pids) for pids in trees]
        cpu = statistics.median(100 * (new - old) / seconds for old, new in zip(before, after))
        memory = statistics.median(pss(pids) / 1e6 for pids in trees)
        descriptors = statistics.median(sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in pids) for pids in trees)
        processes = statistics.median(map(len, trees))
    return cpu, memory, descriptors, processes, started_s


def _wait_until_watching(status: Path) -> None:
    """Wait until an upload says that it watches its directory."""
    deadline = time.monotonic() + _START_TIMEOUT_S
    while True:
        with contextlib.suppress(FileNotFoundError):
            if json.loads(status.read_bytes())["watch"]["is_watching"]:
                return
        if time.monotonic() > deadline:
            raise CommandFailedError(f"{status} does not say that the upload watches")
        time.sleep(0.1)


BENCHMARK = Benchmark("many", TITLE, run)
