"""What every benchmark runs on: a Kafka of its own, a working directory, and topics that come and go."""

from __future__ import annotations

import itertools
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from confluent_kafka import Consumer, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from benchmarks import command, datasets, machine
from benchmarks.command import Command
from benchmarks.datasets import Dataset
from dfud.broker.node import KafkaNode

_BROKER_TIMEOUT_S = 30.0
_POLL_INTERVAL_S = 0.02
_DEFAULT_MAX_MESSAGE_BYTES = 1_048_588  # Kafka's own default
_MESSAGE_OVERHEAD_BYTES = 2048

# A deleted topic has to be gone at once: its pages would be written to the disk during the next run.
_NODE_PROPERTIES = {"log.segment.delete.delay.ms": "0", "log.retention.check.interval.ms": "1000"}


class Measurement(NamedTuple):
    """One run of one command."""

    seconds: float
    cpu: float  # s, of the command and its children
    broker_cpu: float  # s
    other_cpu: float  # s, of everything else on the machine
    load: float  # load average of the minute before the run


class Testbed:
    """Responsible for the broker, and for leaving nothing behind on it."""

    def __init__(
        self,
        work: Path,
        announce: Callable[[str], None],
        properties: Mapping[str, str] | None = None,
        name: str = "kafka",
    ) -> None:
        """Work in the directory `work`; `properties` are added to the broker's."""
        self.work = work
        self.announce = announce
        self.work.mkdir(parents=True, exist_ok=True)
        self._kafka_folder = work / name
        shutil.rmtree(self._kafka_folder, ignore_errors=True)
        self.node = KafkaNode(
            self._kafka_folder,
            heap_mb=1024,
            properties={**_NODE_PROPERTIES, **(properties or {})},
            announce=announce,
        )
        self._topic_numbers = itertools.count(1)

    def __enter__(self) -> Testbed:
        """Start the broker."""
        self.node.start()
        return self

    def __exit__(self, *error: object) -> None:
        """Stop the broker and remove its data."""
        self.node.stop()
        shutil.rmtree(self._kafka_folder, ignore_errors=True)

    @property
    def bootstrap(self) -> str:
        """The address of the broker."""
        return self.node.bootstrap

    @property
    def log(self) -> Path:
        """The file that receives the output of the running command."""
        return self.work / "output.log"

    def folder(self, dataset: Dataset) -> Path:
        """Return the folder of `dataset`, without LOGS."""
        return datasets.make(dataset, self.work / "data")

    # -- topics

    def create_topic(self, partitions: int = 4, chunk_size: int = 0, **settings: str) -> str:
        """Create a topic that accepts chunks of `chunk_size` bytes; return its name once all leaders are known.

        `settings` are the topic's, with "_" for "." in their names.
        """
        name = f"bench-{next(self._topic_numbers)}"
        config = {name.replace("_", "."): value for name, value in settings.items()}
        config["max.message.bytes"] = str(max(_DEFAULT_MAX_MESSAGE_BYTES, chunk_size + _MESSAGE_OVERHEAD_BYTES))
        admin = self._admin()
        admin.create_topics([NewTopic(name, partitions, 1, config=config)])[name].result(_BROKER_TIMEOUT_S)
        self._wait_until(lambda: self._is_ready(admin, name, partitions), f"topic {name} has no leaders")
        return name

    def delete_topic(self, name: str) -> None:
        """Delete a topic and its files."""
        admin = self._admin()
        admin.delete_topics([name])[name].result(_BROKER_TIMEOUT_S)
        data = self.node.folder.data
        self._wait_until(lambda: not any(data.glob(f"{name}-*")), f"topic {name} was not deleted")

    def count_messages(self, topic: str) -> int:
        """Return how many messages are on `topic`."""
        return sum(high - low for low, high in self._watermarks(topic))

    def count_messages_ever(self, topic: str) -> int:
        """Return how many messages were sent to `topic`, including those that its retention has removed."""
        return sum(high for _, high in self._watermarks(topic))

    def _watermarks(self, topic: str) -> list[tuple[int, int]]:
        consumer = Consumer({"bootstrap.servers": self.node.internal_bootstrap, "group.id": "bench"})
        try:
            partitions = consumer.list_topics(topic, timeout=_BROKER_TIMEOUT_S).topics[topic].partitions
            return [
                consumer.get_watermark_offsets(TopicPartition(topic, partition), _BROKER_TIMEOUT_S)
                for partition in partitions
            ]
        finally:
            consumer.close()

    def _admin(self) -> AdminClient:
        return AdminClient({"bootstrap.servers": self.node.internal_bootstrap})

    def _is_ready(self, admin: AdminClient, name: str, partitions: int) -> bool:
        """Return whether every partition has a leader that knows it."""
        topic = admin.list_topics(timeout=_BROKER_TIMEOUT_S).topics.get(name)
        if topic is None or sum(each.leader >= 0 for each in topic.partitions.values()) != partitions:
            return False
        try:
            self._watermarks(name)
        except KafkaException:
            return False
        return True

    @staticmethod
    def _wait_until(is_true: Callable[[], bool], failure: str) -> None:
        deadline = time.monotonic() + _BROKER_TIMEOUT_S
        while not is_true():
            if time.monotonic() > deadline:
                raise command.CommandFailedError(failure)
            time.sleep(_POLL_INTERVAL_S)

    # -- runs

    def measure(self, what: Command, is_done: Callable[[], bool] = lambda: True) -> Measurement:
        """Run a command and measure it and what else was going on; CommandFailedError unless it succeeds.

        `is_done` says when a command that does not exit on its own has done its work.
        """
        load = machine.load()
        busy_before = machine.busy()
        run = command.run(what, self.log, self.node.pid, is_done)
        others = machine.busy() - busy_before - run.cpu - run.broker_cpu
        return Measurement(run.seconds, run.cpu, run.broker_cpu, max(0.0, others), load)
