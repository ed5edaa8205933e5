"""A plain producer loop in Python."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import NamedTuple

from benchmarks.command import Command
from benchmarks.peers.job import Job


class PythonLoop(NamedTuple):
    """`python_loop_main.py`, with the properties that dfud uses."""

    name: str = "plain Python loop"

    def missing(self) -> str:
        """Return what it needs and this machine lacks, or ""."""
        return ""

    def command(self, job: Job) -> Command:
        """Return the command that does `job`."""
        program = Path(__file__).with_name("python_loop_main.py")
        return Command(
            [
                *(sys.executable, str(program), job.bootstrap, job.topic, str(job.folder), str(job.chunk_size)),
                *job.assignments(),
            ]
        )

    def messages(self, job: Job) -> int:
        """Return how many messages `job` leaves on the topic."""
        return job.dataset.messages(job.chunk_size)
