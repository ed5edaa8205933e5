"""A plain loop in Python."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import NamedTuple

from benchmarks.command import Command
from benchmarks.peers.job import Job


class PlainLoop(NamedTuple):
    """`plain_loop.py`, with the properties that dfud uses."""

    name: str = "plain Python loop"

    def missing(self) -> str:
        return ""

    def command(self, job: Job) -> Command:
        program = Path(__file__).with_name("plain_loop.py")
        return Command(
            [
                *(sys.executable, str(program), job.bootstrap, job.topic, str(job.folder), str(job.chunk_size)),
                *job.assignments(),
            ]
        )

    def messages(self, job: Job) -> int:
        return job.dataset.messages(job.chunk_size)
