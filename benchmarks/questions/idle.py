"""What a program that has nothing to do takes."""

from __future__ import annotations

import shutil
import time

from benchmarks.answers import Answer, Plan, Question, Table, Verdict, figure
from benchmarks.processes import name_of, pss, tree, usage
from benchmarks.questions.memory import wait_until_started
from benchmarks.stage import Stage
from benchmarks.watching import dfud_command, running

TITLE = "Idle: CPU and wake-ups"


def ask(stage: Stage, plan: Plan) -> Answer:
    seconds = 5 if plan.quick else 60
    folder = stage.work / "watched"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    topic = stage.create_topic()
    try:
        with running(stage, dfud_command(stage, folder, topic, "--update_seconds", "30")) as process:
            wait_until_started(process, stage, topic, folder)
            time.sleep(5)  # tables are written within
            processes = tree(process.pid)
            before = {each: usage(each) for each in processes}
            time.sleep(seconds)
            after = {each: usage(each) for each in processes}
            names = {each: name_of(each) for each in processes}
            memory = {each: pss([each]) / 1e6 for each in processes}
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        stage.delete_topic(topic)
    rows, total_cpu, total_wakeups = [], 0.0, 0.0
    for each in processes:
        cpu = 100 * (after[each].cpu - before[each].cpu) / seconds
        wakeups = (after[each].wakeups - before[each].wakeups) / seconds
        total_cpu += cpu
        total_wakeups += wakeups
        rows.append([names[each], f"{cpu:.3f}", figure(wakeups), figure(memory[each])])
    rows.append(["all", f"{total_cpu:.3f}", figure(total_wakeups), figure(sum(memory.values()))])
    table = Table(["", "% of a core", "wake-ups a second", "MB (PSS)"], rows)
    notes = [
        "The wake-ups of the producers are those of librdkafka's own threads: one a second each, and its timers."
    ]
    return Answer(table, [Verdict("idle", total_cpu, 0.5, False, "% of a core")], (), notes, rows)


QUESTION = Question("idle", TITLE, ask)
