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
    producer: tuple[tuple[str, str], ...] = ()  # more of the section [producer]

    def missing(self) -> str:
        return "" if DFUD.exists() else f"{DFUD} is not installed"

    def command(self, job: Job) -> Command:
        config = client_config.write(
            job.work / "dfud.config", job.bootstrap, broker=job.properties, producer=dict(self.producer)
        )
        return Command(
            [
                *(str(DFUD), "upload", str(job.folder), "--config", str(config), "--topic_name", job.topic),
                *("--once", "--upload_existing", "--update_seconds", "-1"),
                *("--chunk_size", str(job.chunk_size), "--n_threads", str(job.threads)),
                *self.options,
            ]
        )

    def messages(self, job: Job) -> int:
        return job.dataset.messages(job.chunk_size)
