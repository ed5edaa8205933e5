"""What every peer is given to do, and what it is to the benchmark."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple, Protocol

from benchmarks.command import Command
from benchmarks.datasets import Dataset
from dfud.kafka.config import ClientConfig
from dfud.kafka.properties import fit_to_topic, producer_properties
from dfud.uploading.memory import MEGABYTE, divide

QUEUE_MB = 500  # the default of --queue_max_size
DEFAULT_CHUNK = 16384


class Job(NamedTuple):
    """Upload all files of a folder to a topic."""

    folder: Path
    dataset: Dataset
    topic: str
    bootstrap: str
    work: Path  # folder for files of one's own
    chunk_size: int = DEFAULT_CHUNK
    threads: int = 2
    properties: Mapping[str, str] = {}  # of librdkafka, as a user would set them

    def librdkafka(self) -> dict[str, str]:
        """Return what dfud makes its producers with, so that the peers have the same."""
        given = dict(self.properties)
        config = ClientConfig("benchmark", {"bootstrap.servers": self.bootstrap, **given})
        properties = producer_properties(
            config, self.chunk_size, divide(QUEUE_MB * MEGABYTE, self.threads, self.chunk_size).librdkafka
        )
        fit_to_topic(properties, given, max(1_048_588, self.chunk_size + 2048))
        del properties["bootstrap.servers"]
        return {
            name: str(value).lower() if isinstance(value, bool) else str(value)
            for name, value in properties.items()
        }

    def assignments(self) -> list[str]:
        return [f"{name}={value}" for name, value in self.librdkafka().items()]


class Peer(Protocol):
    """A program that uploads files, or does as much as one that does."""

    @property
    def name(self) -> str: ...

    def missing(self) -> str:
        """Return why it can't take part, or nothing."""

    def command(self, job: Job) -> Command: ...

    def messages(self, job: Job) -> int:
        """Return how many messages are on the topic when it is done."""
