"""From the close of a 64 KiB file until a consumer has all of it: on an idle upload, and under load.

Writer, broker and consumer share one machine and one clock. The consumer runs in this process, has been assigned
its partitions before, and also receives what the load sends.
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
from benchmarks.benchmark import Bar, Bars, Benchmark, Plan, Result, Table, Verdict, figure
from benchmarks.command import CommandFailedError
from benchmarks.listener import Listener
from benchmarks.peers import openmsistream
from benchmarks.peers.dfud_upload import DFUD
from benchmarks.peers.job import DEFAULT_CHUNK
from benchmarks.statistics import median, percentile
from benchmarks.testbed import Testbed
from benchmarks.watching import dfud_command, running, wait_until_watching, write_file
from dfud.broker import client_config

TITLE = "Latency from close to consumer, files of 64 KiB"
_FILE_BYTES = 64 * 1024
_CHUNKS = _FILE_BYTES // DEFAULT_CHUNK
_PAUSE_S = 0.05  # between files
_LOAD_MB_PER_S = 100
_LOAD_START_S = 2.0  # until the load is steady
_IDLE, _LOADED = "idle", f"with {_LOAD_MB_PER_S} MB/s of load"
_MARK = "probe"


def run(testbed: Testbed, plan: Plan) -> Result:
    """Measure the latency of each file of a series."""
    count = 20 if plan.quick else 400
    series = {
        f"dfud, {_IDLE}": measure_dfud(testbed, count, loaded=False),
        f"dfud, {_LOADED}": measure_dfud(testbed, count // 2, loaded=True),
    }
    if openmsistream.program().exists():
        series[f"OpenMSIStream, {_IDLE}"] = _measure_openmsistream(testbed, 2 if plan.quick else 10)
    verdicts = [
        Verdict(f"p50, {_IDLE}", 1000 * median(series[f"dfud, {_IDLE}"]), 5, False, "ms"),
        Verdict(f"p99, {_IDLE}", 1000 * percentile(series[f"dfud, {_IDLE}"], 0.99), 25, False, "ms"),
        Verdict(f"p99, {_LOADED}", 1000 * percentile(series[f"dfud, {_LOADED}"], 0.99), 500, False, "ms"),
    ]
    rows, bars = [], []
    for name, times in series.items():
        p50, p90, p99, longest = (1000 * percentile(times, fraction) for fraction in (0.5, 0.9, 0.99, 1.0))
        rows.append([name, *map(figure, (p50, p90, p99, longest)), str(len(times))])
        bars.append(Bar(name, 1000 * min(times), p50, p99, name.startswith("dfud")))
    table = Table(["", "p50 ms", "p90 ms", "p99 ms", "max ms", "files"], rows)
    raw = {name: [1000 * each for each in times] for name, times in series.items()}
    return Result(table, verdicts, [Bars(f"{TITLE}: median, minimum to p99", "ms", bars)], raw=raw)


def measure_dfud(testbed: Testbed, count: int, loaded: bool, program: Path = DFUD) -> list[float]:
    """Return the latency of `count` files, idle or beside a load (s)."""
    with _folder(testbed) as folder:
        topic = testbed.create_topic(retention_bytes="2000000000", segment_bytes="67108864")
        listener = Listener(testbed.bootstrap, topic, _MARK.encode())
        try:
            with running(
                testbed, dfud_command(testbed, folder, topic, "--update_seconds", "-1", program=program)
            ) as process:
                wait_until_watching(process, folder, listener, _MARK)
                with _load(folder) if loaded else contextlib.nullcontext():
                    return _probe(folder, listener, count)
        finally:
            listener.close()
            testbed.delete_topic(topic)


def _measure_openmsistream(testbed: Testbed, count: int) -> list[float]:
    with _folder(testbed) as folder:
        topic = testbed.create_topic()
        listener = Listener(testbed.bootstrap, topic, _MARK.encode())
        config = client_config.write(
            testbed.work / "openmsistream.config", testbed.bootstrap, producer=dict(openmsistream.PRODUCER)
        )
        command = [
            *(str(openmsistream.program()), str(folder), "--config", str(config), "--topic_name", topic),
            *("--chunk_size", str(DEFAULT_CHUNK)),
        ]
        try:
            with running(testbed, command) as process:
                wait_until_watching(process, folder, listener, _MARK)
                return _probe(folder, listener, count)
        finally:
            listener.close()
            testbed.delete_topic(topic)


def _probe(folder: Path, listener: Listener, count: int) -> list[float]:
    """Write `count` files one after another; return the latency of each (s)."""
    times = []
    for number in range(count):
        name = f"{_MARK}{number}.dat"
        closed = write_file(folder / name, os.urandom(_FILE_BYTES))
        arrived = listener.wait_for(os.fsencode(name), _CHUNKS)
        if arrived is None:
            raise CommandFailedError(f"{name} has not arrived")
        times.append(arrived - closed)
        time.sleep(_PAUSE_S)
    return times


@contextlib.contextmanager
def _folder(testbed: Testbed) -> Iterator[Path]:
    folder = testbed.work / "watched"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _load(folder: Path) -> Iterator[None]:
    """Write files into `folder` at a steady rate, in another process, during a `with` block."""
    argv = [sys.executable, "-m", load.__name__, str(folder.resolve()), str(_LOAD_MB_PER_S)]
    process = subprocess.Popen(argv, cwd=Path(load.__file__).parents[1])
    try:
        time.sleep(_LOAD_START_S)
        yield
    finally:
        process.terminate()
        process.wait()


BENCHMARK = Benchmark("latency", TITLE, run)
