"""dfud itself."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import NamedTuple

from benchmarks.command import Command
from benchmarks.peers.job import Job
from dfud.broker import client_config

DFUD = Path(sys.executable).with_name("dfud")


class Dfud(NamedTuple):
    """`dfud upload --once --upload_existing`."""

    name: str = "dfud"
    options: tuple[str, ...] = ()
    producer: tuple[tuple[str, str], ...] = ()  # added to the section [producer]
    program: str = str(DFUD)

    def missing(self) -> str:
        """Return what it needs and this machine lacks, or ""."""
        return "" if Path(self.program).exists() else f"{self.program} is not installed"

    def command(self, job: Job) -> Command:
        """Return the command that does `job`."""
        config = client_config.write(
            job.work / "dfud.config", job.bootstrap, broker=job.properties, producer=dict(self.producer)
        )
        return Command(
            [
                *(self.program, "upload", str(job.folder), "--config", str(config), "--topic_name", job.topic),
                *("--once", "--upload_existing", "--update_seconds", "-1"),
                *("--chunk_size", str(job.chunk_size), "--n_threads", str(job.threads)),
                *self.options,
            ]
        )

    def messages(self, job: Job) -> int:
        """Return how many messages `job` leaves on the topic."""
        return job.dataset.messages(job.chunk_size)
