"""OpenMSIStream, the program that dfud takes the place of, in its own environment."""

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
FOLDER = "DFUD_BENCH_OPENMSISTREAM"  # scripts/bench puts the environment's folder here


def program(name: str = PROGRAM) -> Path:
    """Return the path at which a program of OpenMSIStream is, if it is there."""
    return Path(os.environ.get(FOLDER, "/nonexistent")) / "bin" / name


class OpenMsiStream(NamedTuple):
    """Its upload of what is there, told to quit when all is on the topic: told before, it leaves some out."""

    name: str = "OpenMSIStream"

    def missing(self) -> str:
        return "" if program().exists() else "OpenMSIStream could not be installed"

    def command(self, job: Job) -> Command:
        config = client_config.write(
            job.work / "openmsistream.config", job.bootstrap, broker=job.properties, producer=dict(PRODUCER)
        )
        return Command(
            [
                *(str(program()), str(job.folder), "--config", str(config), "--topic_name", job.topic),
                *("--upload_existing", "--chunk_size", str(job.chunk_size), "--n_threads", str(job.threads)),
            ],
            farewell=b"quit\n",
        )

    def messages(self, job: Job) -> int:
        return job.dataset.messages(job.chunk_size)
