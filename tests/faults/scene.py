"""The environment of a fault: a Kafka, fresh topics and directories, and reproducible random numbers."""

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

# One message at a time: a few megabytes take seconds, so that a fault strikes in the middle.
SLOWLY = {"batch.num.messages": "1", "max.in.flight": "1"}


class Scene:
    """The environment of one fault, with a folder that the caller removes."""

    def __init__(self, kafka: KafkaNode, folder: Path, seed: int, name: str, is_quick: bool) -> None:
        self.kafka = kafka  # shared: a fault that breaks a broker starts its own, in `folder`
        self.folder = folder
        self.random = random.Random(f"{seed} {name}")
        self.is_quick = is_quick
        self._numbers = itertools.count(1)

    def path(self, name: str) -> Path:
        """Return a new path in the folder."""
        return self.folder / f"{name}{next(self._numbers)}"

    def directory(self) -> Path:
        """Create an empty directory to upload."""
        path = self.path("data")
        path.mkdir()
        return path

    def topic(self, partitions: int = 4, **settings: object) -> str:
        """Create a topic on the shared Kafka."""
        return create_topic(self.kafka.internal_bootstrap, partitions, settings=settings)

    def config(self, bootstrap: str | None = None, **producer: str) -> Path:
        """Write a configuration file; `producer` holds properties of librdkafka with ``_`` for ``.``."""
        properties = {name.replace("_", "."): value for name, value in producer.items()}
        return client_config.write(
            self.path("kafka.config"), bootstrap or self.kafka.bootstrap, producer=properties
        )

    def slow_config(self) -> Path:
        """Write a configuration file with which a few megabytes take seconds."""
        return client_config.write(self.path("slow.config"), self.kafka.bootstrap, producer=SLOWLY)

    def fill(self, directory: Path, files: int, size: int, prefix: str = "file") -> None:
        """Write files of random bytes; their sizes are between half of `size` and `size`."""
        for number in range(files):
            content = self.random.randbytes(self.random.randint(size // 2, size))
            (directory / f"{prefix}{number}").write_bytes(content)

    def on_topic(self, topic: str, bootstrap: str | None = None) -> Files:
        """Read a topic back, from the shared Kafka or another."""
        return files_on(bootstrap or self.kafka.bootstrap, topic)

    def check(self, tally: Tally, directory: Path, topic: str, bootstrap: str | None = None) -> Files:
        """Check that the topic has all files and all recorded chunks of a directory; return what it has."""
        on_topic = self.on_topic(topic, bootstrap)
        tally.check(tree(directory), on_topic)
        tally.check_recorded(directory, topic, on_topic)
        return on_topic


class Fault(NamedTuple):
    """Something that goes wrong, how to cause it, and how often."""

    name: str  # in the table
    cause: Callable[[Scene, Tally, int], None]  # as often as the number says; raises UnavailableError
    times: int  # in a full run
    quick: int = 0  # in a quick run, which ``scripts/test`` includes; 0 for never
    injected: str = ""  # how it is imitated, if it is not caused for real
