"""OpenMSIStream, the program that dfud replaces, in an environment of its own."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from benchmarks.command import Command
from benchmarks.peers.job import Job
from dfud.broker import client_config

PROGRAM = "DataFileUploadDirectory"
SERIALIZERS = (("key.serializer", "StringSerializer"), ("value.serializer", "DataFileChunkSerializer"))
PRODUCER = (*SERIALIZERS, ("acks", "all"), ("enable.idempotence", "True"))
ENVIRONMENT_VARIABLE = "DFUD_BENCH_OPENMSISTREAM"  # the directory of that environment, set by scripts/bench


def program(name: str = PROGRAM) -> Path:
    """Return the path of a program of OpenMSIStream; it need not exist."""
    return Path(os.environ.get(ENVIRONMENT_VARIABLE, "/nonexistent")) / "bin" / name


class OpenMsiStream(NamedTuple):
    """Its upload of existing files; it is told to quit only when everything is on the topic, or it skips files."""

    name: str = "OpenMSIStream"

    def missing(self) -> str:
        """Return what it needs and this machine lacks, or ""."""
        return "" if program().exists() else "OpenMSIStream could not be installed"

    def command(self, job: Job) -> Command:
        """Return the command that does `job`."""
        config = client_config.write(
            job.work / "openmsistream.config", job.bootstrap, broker=job.properties, producer=dict(PRODUCER)
        )
        return Command(
            [
                *(str(program()), str(job.folder), "--config", str(config), "--topic_name", job.topic),
                *("--upload_existing", "--chunk_size", str(job.chunk_size), "--n_threads", str(job.threads)),
            ],
            final_input=b"quit\n",
        )

    def messages(self, job: Job) -> int:
        """Return how many messages `job` leaves on the topic."""
        return job.dataset.messages(job.chunk_size)
