"""What an idle upload uses."""

from __future__ import annotations

import shutil
import time

from benchmarks.benchmark import Benchmark, Plan, Result, Table, Verdict, figure
from benchmarks.processes import name_of, pss, tree, usage
from benchmarks.suite.memory import wait_until_started
from benchmarks.testbed import Testbed
from benchmarks.watching import dfud_command, running

TITLE = "Idle: CPU and wake-ups"
_SETTLE_S = 5.0  # the tables are written within this time
_MAX_CPU_PERCENT = 0.5  # of one core


def run(testbed: Testbed, plan: Plan) -> Result:
    """Measure CPU, wake-ups and memory of each process of an idle upload."""
    seconds = 5 if plan.quick else 60
    folder = testbed.work / "watched"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    topic = testbed.create_topic()
    try:
        with running(testbed, dfud_command(testbed, folder, topic, "--update_seconds", "30")) as process:
            wait_until_started(process, testbed, topic, folder)
            time.sleep(_SETTLE_S)
            processes = tree(process.pid)
            before = {each: usage(each) for each in processes}
            time.sleep(seconds)
            after = {each: usage(each) for each in processes}
            names = {each: name_of(each) for each in processes}
            memory = {each: pss([each]) / 1e6 for each in processes}
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        testbed.delete_topic(topic)
    rows, total_cpu, total_wakeups = [], 0.0, 0.0
    for each in processes:
        cpu = 100 * (after[each].cpu - before[each].cpu) / seconds
        wakeups = (after[each].wakeups - before[each].wakeups) / seconds
        total_cpu += cpu
        total_wakeups += wakeups
        rows.append([names[each], f"{cpu:.3f}", figure(wakeups), figure(memory[each])])
    rows.append(["all", f"{total_cpu:.3f}", figure(total_wakeups), figure(sum(memory.values()))])
    table = Table(["", "% of a core", "wake-ups per second", "MB (PSS)"], rows)
    notes = ["The producers' wake-ups are those of librdkafka's own threads: one per second each, and its timers."]
    return Result(table, [Verdict("idle", total_cpu, _MAX_CPU_PERCENT, False, "% of a core")], (), notes, rows)


BENCHMARK = Benchmark("idle", TITLE, run)
