"""The stage of a run: a Kafka of its own, a folder to work in, and topics that come and go."""

from __future__ import annotations

import itertools
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from confluent_kafka import Consumer, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]

from benchmarks import command, datasets, machine
from benchmarks.command import Command, Run
from benchmarks.datasets import Dataset
from dfud.broker.node import KafkaNode

_BROKER_TIMEOUT_S = 30.0  # s for the broker to do what it is asked
_DEFAULT_MAX_MESSAGE = 1_048_588  # bytes, Kafka's own
_OVERHEAD = 2048

# What is deleted is to be gone at once: its pages would be written to the disk during the next run.
_NODE_PROPERTIES = {"log.segment.delete.delay.ms": "0", "log.retention.check.interval.ms": "1000"}


class Measured(NamedTuple):
    """One run of one contestant."""

    seconds: float
    cpu: float  # s, of the command and its children
    broker_cpu: float  # s
    other_cpu: float  # s, of everything else on the machine
    load: float  # average of the minute before the run


class Stage:
    """Responsible for the broker, and for leaving nothing behind on it."""

    def __init__(
        self,
        work: Path,
        say: Callable[[str], None],
        properties: Mapping[str, str] | None = None,
        name: str = "kafka",
    ) -> None:
        self.work = work
        self.say = say
        self.work.mkdir(parents=True, exist_ok=True)
        self._kafka_folder = work / name
        shutil.rmtree(self._kafka_folder, ignore_errors=True)
        self.node = KafkaNode(
            self._kafka_folder, heap_mb=1024, properties={**_NODE_PROPERTIES, **(properties or {})}, announce=say
        )
        self._numbers = itertools.count(1)

    def __enter__(self) -> Stage:
        self.node.start()
        return self

    def __exit__(self, *problem: object) -> None:
        self.node.stop()
        shutil.rmtree(self._kafka_folder, ignore_errors=True)

    @property
    def bootstrap(self) -> str:
        return self.node.bootstrap

    @property
    def log(self) -> Path:
        """Where the output of the command goes that runs."""
        return self.work / "output.log"

    def folder(self, dataset: Dataset) -> Path:
        """Return the folder of `dataset`, without a LOGS."""
        return datasets.make(dataset, self.work / "data")

    # -- topics

    def create_topic(self, partitions: int = 4, chunk_size: int = 0, **settings: str) -> str:
        """Create a topic that takes chunks of `chunk_size` bytes and return its name, once it has its leaders.

        `settings` are the topic's, "_" for "." in their names.
        """
        name = f"bench-{next(self._numbers)}"
        config = {name.replace("_", "."): value for name, value in settings.items()}
        config["max.message.bytes"] = str(max(_DEFAULT_MAX_MESSAGE, chunk_size + _OVERHEAD))
        admin = self._admin()
        admin.create_topics([NewTopic(name, partitions, 1, config=config)])[name].result(_BROKER_TIMEOUT_S)
        self._wait(lambda: self._is_ready(admin, name, partitions), f"topic {name} has no leaders")
        return name

    def delete_topic(self, name: str) -> None:
        """Delete a topic and its files."""
        admin = self._admin()
        admin.delete_topics([name])[name].result(_BROKER_TIMEOUT_S)
        data = self.node.folder.data
        self._wait(lambda: not any(data.glob(f"{name}-*")), f"topic {name} was not deleted")

    def messages_of(self, topic: str) -> int:
        """Return how many messages are on `topic`."""
        return sum(high - low for low, high in self._offsets(topic))

    def messages_ever(self, topic: str) -> int:
        """Return how many messages were sent to `topic`, those that its retention has removed included."""
        return sum(high for _, high in self._offsets(topic))

    def _offsets(self, topic: str) -> list[tuple[int, int]]:
        consumer = Consumer({"bootstrap.servers": self.node.internal_bootstrap, "group.id": "bench"})
        try:
            partitions = consumer.list_topics(topic, timeout=_BROKER_TIMEOUT_S).topics[topic].partitions
            return [
                consumer.get_watermark_offsets(TopicPartition(topic, each), _BROKER_TIMEOUT_S)
                for each in partitions
            ]
        finally:
            consumer.close()

    def _admin(self) -> AdminClient:
        return AdminClient({"bootstrap.servers": self.node.internal_bootstrap})

    def _is_ready(self, admin: AdminClient, name: str, partitions: int) -> bool:
        """Tell whether every partition has a leader that knows it."""
        found = admin.list_topics(timeout=_BROKER_TIMEOUT_S).topics.get(name)
        if found is None or sum(each.leader >= 0 for each in found.partitions.values()) != partitions:
            return False
        try:
            self._offsets(name)
        except KafkaException:
            return False
        return True

    @staticmethod
    def _wait(is_so: Callable[[], bool], else_say: str) -> None:
        deadline = time.monotonic() + _BROKER_TIMEOUT_S
        while not is_so():
            if time.monotonic() > deadline:
                raise command.CommandFailed(else_say)
            time.sleep(0.02)

    # -- runs

    def measure(self, what: Command, done: Callable[[], bool] = lambda: True) -> Measured:
        """Run a command and measure it, and what else was going on; CommandFailed unless it succeeds.

        `done` tells when one that has to be told to end has done its work.
        """
        load = machine.load()
        before = machine.busy()
        run: Run = command.run(what, self.log, self.node.pid, done)
        others = machine.busy() - before - run.cpu - run.broker_cpu
        return Measured(run.seconds, run.cpu, run.broker_cpu, max(0.0, others), load)
