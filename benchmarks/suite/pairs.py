"""dfud compared with the C loop at several settings, each the same for both."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from benchmarks.benchmark import Plan, Result, comparison_result, ratio_verdicts
from benchmarks.comparison import Candidate, compare
from benchmarks.datasets import MIB, Dataset
from benchmarks.peers.c_loop import CLoop
from benchmarks.peers.dfud_upload import Dfud
from benchmarks.peers.job import DEFAULT_CHUNK
from benchmarks.testbed import Testbed

TARGET = 0.9  # of the C loop's speed


class Setting(NamedTuple):
    """A setting of both programs."""

    label: str
    chunk_size: int = DEFAULT_CHUNK
    threads: int = 2  # of dfud; and producers of the C loop
    partitions: int = 4
    properties: tuple[tuple[str, str], ...] = ()
    dataset: Dataset = Dataset(4, 128 * MIB)  # as in "large"; less would mostly measure the start


def compare_settings(testbed: Testbed, plan: Plan, title: str, settings: Sequence[Setting]) -> Result:
    """Compare both programs at each of `settings`."""
    candidates = []
    for setting in settings:
        data = setting.dataset._replace(size=setting.dataset.size // (8 if plan.quick else 1))
        for peer in (Dfud(), CLoop(setting.threads)):
            name = "dfud" if isinstance(peer, Dfud) else "C loop"
            candidates.append(
                Candidate(
                    peer,
                    data,
                    setting.chunk_size,
                    setting.threads,
                    setting.partitions,
                    setting.properties,
                    label=f"{name}, {setting.label}",
                )
            )
    rows = compare(testbed, candidates, plan.rounds)
    verdicts = [
        verdict._replace(what=f"dfud vs. C loop, {setting.label}")
        for setting in settings
        for verdict in ratio_verdicts(rows, f"dfud, {setting.label}", f"C loop, {setting.label}", "MB/s", TARGET)
    ]
    return comparison_result(title, rows, "MB/s", verdicts)
