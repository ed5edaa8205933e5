"""A contest: several commands that do the same kind of work, in turn, round after round."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from benchmarks import datasets
from benchmarks.command import CommandFailed
from benchmarks.datasets import Dataset
from benchmarks.peers.job import DEFAULT_CHUNK, Job, Peer
from benchmarks.stage import Measured, Stage


class Contestant(NamedTuple):
    """A peer and its share of the work; a slow one may be given less."""

    peer: Peer
    dataset: Dataset
    chunk_size: int = DEFAULT_CHUNK
    threads: int = 2
    partitions: int = 4
    properties: tuple[tuple[str, str], ...] = ()
    label: str = ""
    most_rounds: int = 1000

    @property
    def name(self) -> str:
        return self.label or self.peer.name


class Row(NamedTuple):
    """What a contestant did."""

    name: str
    files: int
    bytes: int
    runs: list[Measured]
    skipped: str  # why, where there are none

    def rates(self, unit: str) -> list[float]:
        """Return MB/s or files/s, as `unit` says, of each run."""
        amount = self.files if unit == "files/s" else self.bytes / 1e6
        return [amount / run.seconds for run in self.runs]

    @property
    def cpu_per_gib(self) -> list[float]:
        return [run.cpu / (self.bytes / datasets.GIB) for run in self.runs]

    @property
    def cpu_per_file(self) -> list[float]:
        return [run.cpu / self.files for run in self.runs]


def run_contest(
    stage: Stage,
    contestants: Sequence[Contestant],
    rounds: int,
    before: Callable[[], None] = lambda: None,
) -> list[Row]:
    """Run `contestants` in turn, `rounds` times; each round begins with another of them.

    A contestant that fails is told of, and leaves.
    """
    rows = [Row(each.name, each.dataset.files, each.dataset.bytes, [], each.peer.missing()) for each in contestants]
    skipped = {number: row.skipped for number, row in enumerate(rows) if row.skipped}
    for number, why in skipped.items():
        stage.say(f"  {rows[number].name} is left out: {why}")
    for round_ in range(rounds):
        for step in range(len(contestants)):
            number = (round_ + step) % len(contestants)
            each = contestants[number]
            if number in skipped or round_ >= each.most_rounds:
                continue
            try:
                before()
                measured = run_once(stage, each)
            except CommandFailed as problem:
                skipped[number] = f"it failed: {problem}"
                stage.say(f"  {each.name} failed and is left out: {problem}")
                continue
            rows[number].runs.append(measured)
            stage.say(
                f"  round {round_ + 1}/{rounds} {each.name}: {measured.seconds:.2f} s, "
                f"{each.dataset.bytes / 1e6 / measured.seconds:.1f} MB/s, "
                f"{each.dataset.files / measured.seconds:.0f} files/s, CPU {measured.cpu:.2f} s, "
                f"broker {measured.broker_cpu:.2f} s, others {measured.other_cpu:.2f} s"
            )
    return [row._replace(skipped=skipped.get(number, "")) for number, row in enumerate(rows)]


def run_once(stage: Stage, each: Contestant) -> Measured:
    """Run one contestant once on a topic of its own; CommandFailed if not all messages are there."""
    folder = stage.folder(each.dataset)
    topic = stage.create_topic(each.partitions, each.chunk_size)
    try:
        job = Job(
            folder,
            each.dataset,
            topic,
            stage.bootstrap,
            stage.work,
            each.chunk_size,
            each.threads,
            dict(each.properties),
        )
        measured = stage.measure(each.peer.command(job))
        found, wanted = stage.messages_of(topic), each.peer.messages(job)
        if found != wanted:
            raise CommandFailed(f"{found} messages are on the topic and not {wanted}")
        return measured
    finally:
        datasets.forget_logs(folder)
        stage.delete_topic(topic)
