"""A comparison: several commands that do the same kind of work, one after another, round after round."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

from benchmarks import datasets
from benchmarks.command import CommandFailedError
from benchmarks.datasets import Dataset
from benchmarks.peers.job import DEFAULT_CHUNK, Job, Peer
from benchmarks.testbed import Measurement, Testbed

UNLIMITED_ROUNDS = 1000


class Candidate(NamedTuple):
    """A peer and the work that it is given; a slow one may be given less."""

    peer: Peer
    dataset: Dataset
    chunk_size: int = DEFAULT_CHUNK  # bytes
    threads: int = 2
    partitions: int = 4
    properties: tuple[tuple[str, str], ...] = ()
    label: str = ""
    max_rounds: int = UNLIMITED_ROUNDS

    @property
    def name(self) -> str:
        """What the tables call it."""
        return self.label or self.peer.name


class TrialResult(NamedTuple):
    """All runs of one trial."""

    name: str
    files: int
    bytes: int
    runs: list[Measurement]
    skipped: str  # why there are no runs, or ""

    def rates(self, unit: str) -> list[float]:
        """Return the rate of each run, in `unit`: "MB/s" or "files/s"."""
        amount = self.files if unit == "files/s" else self.bytes / 1e6
        return [amount / run.seconds for run in self.runs]

    @property
    def cpu_per_gib(self) -> list[float]:
        """CPU seconds per GiB of each run."""
        return [run.cpu / (self.bytes / datasets.GIB) for run in self.runs]

    @property
    def cpu_per_file(self) -> list[float]:
        """CPU seconds per file of each run."""
        return [run.cpu / self.files for run in self.runs]


class Trial(NamedTuple):
    """Something that is run and measured again and again."""

    name: str
    run: Callable[[], Measurement]
    files: int
    bytes: int
    missing: str = ""  # what it needs and this machine lacks, or ""
    max_rounds: int = UNLIMITED_ROUNDS


def run_rounds(trials: Sequence[Trial], rounds: int, announce: Callable[[str], None]) -> list[TrialResult]:
    """Run all trials `rounds` times; each round begins with another of them.

    One that fails is announced and not run again.
    """
    skipped = {number: trial.missing for number, trial in enumerate(trials) if trial.missing}
    for number, reason in skipped.items():
        announce(f"  {trials[number].name}: skipped: {reason}")
    runs: list[list[Measurement]] = [[] for _ in trials]
    for round_ in range(rounds):
        for step in range(len(trials)):
            number = (round_ + step) % len(trials)
            trial = trials[number]
            if number in skipped or len(runs[number]) >= trial.max_rounds:
                continue
            try:
                measured = trial.run()
            except CommandFailedError as error:
                skipped[number] = f"failed: {error}"
                announce(f"  {trial.name}: failed, and skipped from now on: {error}")
                continue
            runs[number].append(measured)
            announce(
                f"  round {round_ + 1}/{rounds} {trial.name}: {measured.seconds:.2f} s, "
                f"{trial.bytes / 1e6 / measured.seconds:.1f} MB/s, {trial.files / measured.seconds:.0f} files/s, "
                f"CPU {measured.cpu:.2f} s, broker {measured.broker_cpu:.2f} s, others {measured.other_cpu:.2f} s"
            )
    return [
        TrialResult(trial.name, trial.files, trial.bytes, runs[number], skipped.get(number, ""))
        for number, trial in enumerate(trials)
    ]


def compare(testbed: Testbed, candidates: Sequence[Candidate], rounds: int) -> list[TrialResult]:
    """Run all candidates `rounds` times, each run on a topic of its own."""
    return run_rounds([trial_of(testbed, candidate) for candidate in candidates], rounds, testbed.announce)


def trial_of(testbed: Testbed, candidate: Candidate) -> Trial:
    """Return a trial that runs `candidate` on a topic of its own."""
    return Trial(
        candidate.name,
        partial(run_once, testbed, candidate),
        candidate.dataset.files,
        candidate.dataset.bytes,
        candidate.peer.missing(),
        candidate.max_rounds,
    )


def run_once(testbed: Testbed, candidate: Candidate) -> Measurement:
    """Run a candidate once on a topic of its own; CommandFailedError unless all messages are on the topic."""
    folder = testbed.folder(candidate.dataset)
    topic = testbed.create_topic(candidate.partitions, candidate.chunk_size)
    try:
        job = Job(
            folder,
            candidate.dataset,
            topic,
            testbed.bootstrap,
            testbed.work,
            candidate.chunk_size,
            candidate.threads,
            dict(candidate.properties),
        )
        expected = candidate.peer.messages(job)
        measured = testbed.measure(candidate.peer.command(job), lambda: testbed.count_messages(topic) >= expected)
        count = testbed.count_messages(topic)
        if count != expected:
            raise CommandFailedError(f"{count} messages are on the topic instead of {expected}")
        return measured
    finally:
        datasets.remove_logs(folder)
        testbed.delete_topic(topic)
