"""The work that every peer is given, and the interface of a peer."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple, Protocol

from benchmarks.command import Command
from benchmarks.datasets import Dataset
from dfud.kafka.config import ClientConfig
from dfud.kafka.properties import fit_to_topic, producer_properties
from dfud.uploading.memory import MEGABYTE, divide

_QUEUE_MB = 500  # the default of --queue_max_size
_DEFAULT_MAX_MESSAGE_BYTES = 1_048_588  # of a topic, as Kafka has it
_MESSAGE_OVERHEAD_BYTES = 2048
DEFAULT_CHUNK = 16384  # bytes, the default of --chunk_size


class Job(NamedTuple):
    """Upload all files of a folder to a topic."""

    folder: Path
    dataset: Dataset
    topic: str
    bootstrap: str
    work: Path  # directory for files that the peer needs itself
    chunk_size: int = DEFAULT_CHUNK
    threads: int = 2  # of dfud; and producers of the others
    properties: Mapping[str, str] = {}  # of librdkafka, as a user would set them

    def librdkafka(self) -> dict[str, str]:
        """Return the properties of dfud's producers, which all peers get."""
        user_properties = dict(self.properties)
        config = ClientConfig("benchmark", {"bootstrap.servers": self.bootstrap, **user_properties})
        properties = producer_properties(
            config, self.chunk_size, divide(_QUEUE_MB * MEGABYTE, self.threads, self.chunk_size).librdkafka
        )
        fit_to_topic(
            properties, user_properties, max(_DEFAULT_MAX_MESSAGE_BYTES, self.chunk_size + _MESSAGE_OVERHEAD_BYTES)
        )
        del properties["bootstrap.servers"]
        return {
            name: str(value).lower() if isinstance(value, bool) else str(value)
            for name, value in properties.items()
        }

    def assignments(self) -> list[str]:
        """Return the same as words of a command line, "name=value"."""
        return [f"{name}={value}" for name, value in self.librdkafka().items()]


class Peer(Protocol):
    """A program that uploads files, or does an equivalent amount of work."""

    @property
    def name(self) -> str:
        """What the tables call it."""

    def missing(self) -> str:
        """Return what it needs and this machine lacks, or ""."""

    def command(self, job: Job) -> Command:
        """Return the command that does `job`."""

    def messages(self, job: Job) -> int:
        """Return how many messages are on the topic when `job` is done."""
