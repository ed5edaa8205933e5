"""This dfud compared with another version of it, in turn: after a change, with the state before it.

DFUD_BENCH_OTHER names the other version's program, as `.venv/3.13/bin/dfud` of another checkout.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import datasets
from benchmarks.benchmark import Benchmark, Plan, Result, Table, Verdict, figure
from benchmarks.command import Command
from benchmarks.comparison import Candidate, Trial, TrialResult, compare, run_rounds
from benchmarks.datasets import KIB, MIB, Dataset
from benchmarks.peers.dfud_upload import DFUD, Dfud
from benchmarks.peers.job import DEFAULT_CHUNK, Job
from benchmarks.peers.openmsistream import SERIALIZERS
from benchmarks.statistics import median, percentile, ratio
from benchmarks.suite import latency, start
from benchmarks.suite.reading import measure_writing
from benchmarks.testbed import Testbed
from dfud.broker import client_config

TITLE = "This version compared with another one"
VARIABLE = "DFUD_BENCH_OTHER"
TARGET = 0.95  # of the other version's speed; less is more than noise

THIS, OTHER = "this version", "the other one"


def missing() -> str:
    """Return what is missing, or ""."""
    program = os.environ.get(VARIABLE, "")
    return "" if program and Path(program).exists() else f"{VARIABLE} names no dfud to compare with"


def run(testbed: Testbed, plan: Plan) -> Result:
    """Compare the two versions in all that costs time."""
    programs = {THIS: DFUD, OTHER: Path(os.environ[VARIABLE])}
    table: list[Sequence[str]] = []
    verdicts: list[Verdict] = []
    raw: dict[str, Any] = {}

    def add(what: str, unit: str, values: dict[str, list[float]], cpu: float | None, is_rate: bool) -> None:
        speed = ratio(values[THIS], values[OTHER]) if is_rate else ratio(values[OTHER], values[THIS])
        medians = [figure(median(values[name])) for name in programs]
        table.append([what, unit, *medians, f"{speed:.2f}", "" if cpu is None else f"{cpu:.2f}"])
        verdicts.append(Verdict(f"{what}: speed of {THIS} to {OTHER}", speed, TARGET, at_least=True))
        raw[what] = values

    def add_trials(what: str, unit: str, trials: Sequence[TrialResult]) -> None:
        values = {trial.name: trial.rates(unit) for trial in trials}
        add(what, unit, values, ratio(*(trial.cpu_per_file for trial in trials)), is_rate=True)

    for what, unit, data, chunk_size, producer in _uploads(plan.quick):
        peers = [Dfud(name, producer=producer, program=str(program)) for name, program in programs.items()]
        candidates = [Candidate(peer, data, chunk_size) for peer in peers]
        add_trials(what, unit, compare(testbed, candidates, plan.rounds))
    for what, trials in _read_back(testbed, plan, programs).items():
        add_trials(what, "MB/s", trials)
    for measure in _durations(testbed, plan.quick):
        values: dict[str, dict[str, list[float]]] = {}
        for round_ in range(plan.rounds):
            for name in sorted(programs, reverse=bool(round_ % 2)):
                for what, value in measure(programs[name], round_).items():
                    values.setdefault(what, {}).setdefault(name, []).append(value)
                    testbed.announce(f"  round {round_ + 1}/{plan.rounds} {what}, {name}: {figure(value)} ms")
        for what, by_name in values.items():
            add(what, "ms", by_name, None, is_rate=False)
    columns = ["", "unit", THIS, OTHER, "ratio of speeds", "ratio of CPU times"]
    return Result(Table(columns, table), verdicts, raw=raw)


def _uploads(quick: bool) -> Sequence[tuple[str, str, Dataset, int, tuple[tuple[str, str], ...]]]:
    """Return what is uploaded: its name, the unit of its rate, the files, the chunk size, producer settings."""
    large = Dataset(4, (16 if quick else 128) * MIB)
    return (
        ("512 MiB", "MB/s", large, DEFAULT_CHUNK, ()),
        ("100,000 files of 1 KiB", "files/s", Dataset(5_000 if quick else 100_000, KIB), DEFAULT_CHUNK, ()),
        ("chunks of 1 KiB", "MB/s", Dataset(4, (4 if quick else 32) * MIB), KIB, ()),
        ("OpenMSIStream's messages", "MB/s", large, DEFAULT_CHUNK, SERIALIZERS),
    )


def _read_back(testbed: Testbed, plan: Plan, programs: dict[str, Path]) -> dict[str, list[TrialResult]]:
    """Download and verify what is on a topic."""
    data = Dataset(64, (1 if plan.quick else 16) * MIB)
    folder, target = testbed.folder(data), testbed.work / "downloaded"
    topic = testbed.create_topic()
    config = client_config.write(testbed.work / "reader.config", testbed.bootstrap)
    where = ("--config", str(config), "--topic_name", topic)

    def trial(name: str, measure: Callable[[Command], Any], words: Sequence[str]) -> Trial:
        return Trial(name, partial(measure, Command([*words, *where])), data.files, data.bytes)

    try:
        testbed.measure(Dfud().command(Job(folder, data, topic, testbed.bootstrap, testbed.work)))
        downloads = [
            trial(
                name, partial(measure_writing, testbed, target), [str(program), "download", str(target), "--once"]
            )
            for name, program in programs.items()
        ]
        verifications = [
            trial(name, testbed.measure, [str(program), "verify", str(folder)])
            for name, program in programs.items()
        ]
        return {
            "download of 1 GiB": run_rounds(downloads, plan.rounds, testbed.announce),
            "verify of 1 GiB": run_rounds(verifications, plan.rounds, testbed.announce),
        }
    finally:
        shutil.rmtree(target, ignore_errors=True)
        datasets.remove_logs(folder)
        testbed.delete_topic(topic)


def _durations(testbed: Testbed, quick: bool) -> Sequence[Callable[[Path, int], dict[str, float]]]:
    """Return functions of the program and the round that measure durations: what it is, and how long (ms)."""
    files, rows, probes = (1_000, 10_000, 20) if quick else (100_000, 1_000_000, 200)
    finished = testbed.work / f"finished{files}"
    if not finished.exists():
        finished.mkdir()
        datasets.write(Dataset(files, KIB), finished)

    def starting(program: Path, number: int) -> dict[str, float]:
        return {
            "start with a million rows": 1000 * start.times_to_first(testbed, finished, rows, number, program)[0]
        }

    def latencies(program: Path, _: int) -> dict[str, float]:
        idle = latency.measure_dfud(testbed, probes, False, program)
        loaded = latency.measure_dfud(testbed, probes // 2, True, program)
        return {
            "latency, p50": 1000 * median(idle),
            "latency, p99": 1000 * percentile(idle, 0.99),
            "latency beside 100 MB/s, p99": 1000 * percentile(loaded, 0.99),
        }

    return starting, latencies


BENCHMARK = Benchmark("versions", TITLE, run, missing)
