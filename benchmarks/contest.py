"""A contest: several commands that do the same kind of work, in turn, round after round."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
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


class Entry(NamedTuple):
    """Something that is run and measured again and again."""

    name: str
    run: Callable[[], Measured]
    files: int
    bytes: int
    missing: str = ""  # why it can't be run
    most_rounds: int = 1000


def in_turn(entries: Sequence[Entry], rounds: int, say: Callable[[str], None]) -> list[Row]:
    """Run `entries` in turn, `rounds` times; each round begins with another of them.

    One that fails is told of, and leaves.
    """
    skipped = {number: entry.missing for number, entry in enumerate(entries) if entry.missing}
    for number, why in skipped.items():
        say(f"  {entries[number].name} is left out: {why}")
    runs: list[list[Measured]] = [[] for _ in entries]
    for round_ in range(rounds):
        for step in range(len(entries)):
            number = (round_ + step) % len(entries)
            each = entries[number]
            if number in skipped or len(runs[number]) >= each.most_rounds:
                continue
            try:
                measured = each.run()
            except CommandFailed as problem:
                skipped[number] = f"it failed: {problem}"
                say(f"  {each.name} failed and is left out: {problem}")
                continue
            runs[number].append(measured)
            say(
                f"  round {round_ + 1}/{rounds} {each.name}: {measured.seconds:.2f} s, "
                f"{each.bytes / 1e6 / measured.seconds:.1f} MB/s, {each.files / measured.seconds:.0f} files/s, "
                f"CPU {measured.cpu:.2f} s, broker {measured.broker_cpu:.2f} s, others {measured.other_cpu:.2f} s"
            )
    return [
        Row(entry.name, entry.files, entry.bytes, runs[number], skipped.get(number, ""))
        for number, entry in enumerate(entries)
    ]


def run_contest(stage: Stage, contestants: Sequence[Contestant], rounds: int) -> list[Row]:
    """Run `contestants` in turn, `rounds` times, each on topics of its own."""
    entries = [
        Entry(
            each.name,
            partial(run_once, stage, each),
            each.dataset.files,
            each.dataset.bytes,
            each.peer.missing(),
            each.most_rounds,
        )
        for each in contestants
    ]
    return in_turn(entries, rounds, stage.say)


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
        wanted = each.peer.messages(job)
        measured = stage.measure(each.peer.command(job), lambda: stage.messages_of(topic) >= wanted)
        found = stage.messages_of(topic)
        if found != wanted:
            raise CommandFailed(f"{found} messages are on the topic and not {wanted}")
        return measured
    finally:
        datasets.forget_logs(folder)
        stage.delete_topic(topic)
