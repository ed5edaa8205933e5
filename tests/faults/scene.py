"""What a fault happens in: a Kafka, fresh topics, fresh directories, and numbers that a seed repeats."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from dfud.broker import client_config
from dfud.broker.node import KafkaNode
from tests.faults.tally import Files, Tally
from tests.helpers.topics import create_topic
from tests.helpers.uploading import files_on, tree

# One message at a time: some megabytes take seconds, so that a fault comes in the middle of them.
SLOWLY = {"batch.num.messages": "1", "max.in.flight": "1"}


class UnavailableError(Exception):
    """The fault can't be caused here; the text says why. It is counted as skipped, never as passed."""


class Scene:
    """A place for one fault, with a folder of its own that whoever made it removes."""

    def __init__(self, kafka: KafkaNode, folder: Path, seed: int, name: str, is_quick: bool) -> None:
        self.kafka = kafka  # shared: a fault that stops or breaks a broker starts its own in `folder`
        self.folder = folder
        self.random = random.Random(f"{seed} {name}")
        self.is_quick = is_quick
        self._numbers = itertools.count(1)

    def path(self, name: str) -> Path:
        """Return a path in the scene's folder that there was not yet."""
        return self.folder / f"{name}{next(self._numbers)}"

    def directory(self) -> Path:
        """Make an empty directory to be uploaded."""
        path = self.path("data")
        path.mkdir()
        return path

    def topic(self, partitions: int = 4, **settings: object) -> str:
        """Make a fresh topic on the shared Kafka."""
        return create_topic(self.kafka.internal_bootstrap, partitions, settings=settings)

    def config(self, bootstrap: str | None = None, **producer: str) -> Path:
        """Write a configuration file; ``producer`` holds properties of librdkafka, ``_`` for ``.``."""
        properties = {name.replace("_", "."): value for name, value in producer.items()}
        return client_config.write(
            self.path("kafka.config"), bootstrap or self.kafka.bootstrap, producer=properties
        )

    def slow_config(self) -> Path:
        """Write a configuration file with which some megabytes take seconds."""
        return client_config.write(self.path("slow.config"), self.kafka.bootstrap, producer=SLOWLY)

    def fill(self, directory: Path, files: int, size: int, prefix: str = "file") -> None:
        """Write files of random bytes, `size` of them each at the most and half of that at the least."""
        for number in range(files):
            content = self.random.randbytes(self.random.randint(size // 2, size))
            (directory / f"{prefix}{number}").write_bytes(content)

    def on_topic(self, topic: str, bootstrap: str | None = None) -> Files:
        """Read a topic back, of the shared Kafka or of another."""
        return files_on(bootstrap or self.kafka.bootstrap, topic)

    def check(self, tally: Tally, directory: Path, topic: str, bootstrap: str | None = None) -> Files:
        """Check that all of a directory is on the topic, and that what is recorded is; return what is there."""
        on_topic = self.on_topic(topic, bootstrap)
        tally.check(tree(directory), on_topic)
        tally.check_recorded(directory, topic, on_topic)
        return on_topic


class Fault(NamedTuple):
    """Something that goes wrong, how to cause it, and how often."""

    name: str  # as the table shows it
    cause: Callable[[Scene, Tally, int], None]  # so many times; raises UnavailableError
    times: int  # in a full run
    quick: int = 0  # in a quick run, which ``scripts/test`` does too; 0 for not at all
    injected: str = ""  # how it is imitated where it is not caused for real
