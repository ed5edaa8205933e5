"""dfud against the C loop, the same setting for both, one setting after another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from benchmarks.answers import Answer, Plan, against, contest_answer
from benchmarks.contest import Contestant, run_contest
from benchmarks.datasets import MIB, Dataset
from benchmarks.peers.floor import Floor
from benchmarks.peers.job import DEFAULT_CHUNK
from benchmarks.peers.ours import Dfud
from benchmarks.stage import Stage

TARGET = 0.9  # of the C loop's speed


class Setting(NamedTuple):
    """What both are given."""

    label: str
    chunk_size: int = DEFAULT_CHUNK
    threads: int = 2  # of dfud, and producers of the C loop
    partitions: int = 4
    properties: tuple[tuple[str, str], ...] = ()
    dataset: Dataset = Dataset(4, 128 * MIB)  # that of "large": less, and it is the start that is measured


def answer_pairs(stage: Stage, plan: Plan, title: str, settings: Sequence[Setting]) -> Answer:
    """Measure both in each of `settings`."""
    contestants = []
    for setting in settings:
        data = setting.dataset._replace(size=setting.dataset.size // (8 if plan.quick else 1))
        for peer in (Dfud(), Floor(setting.threads)):
            name = "dfud" if isinstance(peer, Dfud) else "C loop"
            contestants.append(
                Contestant(
                    peer,
                    data,
                    setting.chunk_size,
                    setting.threads,
                    setting.partitions,
                    setting.properties,
                    label=f"{name}, {setting.label}",
                )
            )
    rows = run_contest(stage, contestants, plan.rounds)
    verdicts = [
        verdict._replace(what=f"dfud against the C loop, {setting.label}")
        for setting in settings
        for verdict in against(rows, f"dfud, {setting.label}", f"C loop, {setting.label}", "MB/s", TARGET)
    ]
    return contest_answer(title, rows, "MB/s", verdicts)
