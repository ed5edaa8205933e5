"""From the close of a 64 KiB file to a reader that holds all of it: idle before, and beside a load.

Writer, broker and reader are on one machine and have one clock. The reader is in this process, has subscribed
before, and takes what the load sends, too.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks import load
from benchmarks.answers import Answer, Bar, Bars, Plan, Question, Table, Verdict, figure
from benchmarks.command import CommandFailed
from benchmarks.listener import Listener
from benchmarks.peers import openmsistream
from benchmarks.peers.job import DEFAULT_CHUNK
from benchmarks.stage import Stage
from benchmarks.statistics import median, percentile
from benchmarks.watching import dfud_command, running, until_it_watches, write_file
from dfud.broker import client_config

TITLE = "From close to reader, a file of 64 KiB"
_SIZE = 64 * 1024
_CHUNKS = _SIZE // DEFAULT_CHUNK
_PAUSE = 0.05  # s between files
_LOAD_MB = 100  # a second
_MARK = "probe"


def ask(stage: Stage, plan: Plan) -> Answer:
    count = 20 if plan.quick else 400
    found = {
        "dfud, idle before": _measure_dfud(stage, count, loaded=False),
        f"dfud, {_LOAD_MB} MB/s beside": _measure_dfud(stage, count // 2, loaded=True),
    }
    if openmsistream.program().exists():
        found["OpenMSIStream, idle before"] = _measure_openmsistream(stage, 2 if plan.quick else 10)
    verdicts = [
        Verdict("p50, idle before", 1000 * median(found["dfud, idle before"]), 5, False, "ms"),
        Verdict("p99, idle before", 1000 * percentile(found["dfud, idle before"], 0.99), 25, False, "ms"),
        Verdict(
            f"p99, {_LOAD_MB} MB/s beside",
            1000 * percentile(found[f"dfud, {_LOAD_MB} MB/s beside"], 0.99),
            500,
            False,
            "ms",
        ),
    ]
    rows, bars = [], []
    for name, times in found.items():
        parts = [1000 * percentile(times, part) for part in (0.5, 0.9, 0.99, 1.0)]
        rows.append([name, *map(figure, parts), str(len(times))])
        bars.append(Bar(name, 1000 * min(times), parts[0], parts[2], name.startswith("dfud")))
    table = Table(["", "p50 ms", "p90 ms", "p99 ms", "most ms", "files"], rows)
    raw = {name: [1000 * each for each in times] for name, times in found.items()}
    return Answer(table, verdicts, [Bars(f"{TITLE}: median, least to p99", "ms", bars)], raw=raw)


def _measure_dfud(stage: Stage, count: int, loaded: bool) -> list[float]:
    with _folder(stage) as folder:
        topic = stage.create_topic(retention_bytes="2000000000", segment_bytes="67108864")
        listener = Listener(stage.bootstrap, topic, _MARK.encode())
        try:
            with running(stage, dfud_command(stage, folder, topic, "--update_seconds", "-1")) as process:
                until_it_watches(process, folder, listener, _MARK)
                with _load(folder) if loaded else contextlib.nullcontext():
                    return _probe(folder, listener, count, _CHUNKS, _PAUSE)
        finally:
            listener.close()
            stage.delete_topic(topic)


def _measure_openmsistream(stage: Stage, count: int) -> list[float]:
    with _folder(stage) as folder:
        topic = stage.create_topic()
        listener = Listener(stage.bootstrap, topic, _MARK.encode())
        config = client_config.write(
            stage.work / "openmsistream.config", stage.bootstrap, producer=dict(openmsistream.PRODUCER)
        )
        command = [
            *(str(openmsistream.program()), str(folder), "--config", str(config), "--topic_name", topic),
            *("--chunk_size", str(DEFAULT_CHUNK)),
        ]
        try:
            with running(stage, command) as process:
                until_it_watches(process, folder, listener, _MARK)
                return _probe(folder, listener, count, _CHUNKS, _PAUSE)
        finally:
            listener.close()
            stage.delete_topic(topic)


def _probe(folder: Path, listener: Listener, count: int, chunks: int, pause: float) -> list[float]:
    times = []
    for number in range(count):
        name = f"{_MARK}{number}.dat"
        closed = write_file(folder / name, os.urandom(_SIZE))
        came = listener.wait_for(os.fsencode(name), chunks)
        if came is None:
            raise CommandFailed(f"{name} has not come")
        times.append(came - closed)
        time.sleep(pause)
    return times


@contextlib.contextmanager
def _folder(stage: Stage) -> Iterator[Path]:
    folder = stage.work / "watched"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _load(folder: Path) -> Iterator[None]:
    """Have another process write files into `folder` at a steady rate."""
    process = subprocess.Popen([sys.executable, "-m", load.__name__, str(folder), str(_LOAD_MB)])
    try:
        time.sleep(2)
        yield
    finally:
        process.terminate()
        process.wait()


QUESTION = Question("latency", TITLE, ask)
