"""Kafka's own producer benchmark, `org.apache.kafka.tools.ProducerPerformance`, in Java."""

from __future__ import annotations

import os
from functools import cache
from typing import NamedTuple

from benchmarks.command import Command
from benchmarks.peers.job import Job
from dfud.broker import jars, java
from dfud.errors import BrokerError

TOOLS = f"org.apache.kafka:kafka-tools:{jars.KAFKA_VERSION}"


@cache
def _class_path() -> str:
    return os.pathsep.join(map(str, jars.resolve(TOOLS)))


class JavaPerf(NamedTuple):
    """Sends the same number of random records of the same size, with default JVM settings; it reads no files."""

    name: str = "Java perf test"

    def missing(self) -> str:
        """Return what it needs and this machine lacks, or ""."""
        try:
            java.find_java()
            _class_path()
        except BrokerError as error:
            return str(error)
        return ""

    def command(self, job: Job) -> Command:
        """Return the command that does `job`."""
        ours = job.librdkafka()
        return Command(
            [
                *(str(java.find_java()), "-Xmx512m", "org.apache.kafka.tools.ProducerPerformance"),
                *("--topic", job.topic, "--num-records", str(self.messages(job))),
                *("--record-size", str(min(job.dataset.size, job.chunk_size)), "--throughput", "-1"),
                *("--producer-props", f"bootstrap.servers={job.bootstrap}", "acks=all", "enable.idempotence=true"),
                *(f"linger.ms={ours['linger.ms']}", f"batch.size={ours['batch.size']}", "buffer.memory=67108864"),
                *(f"{name}={value}" for name, value in job.properties.items() if name == "compression.type"),
                f"max.request.size={max(1_048_576, job.chunk_size + 2048)}",
            ],
            environment={"CLASSPATH": _class_path(), "JAVA_TOOL_OPTIONS": ""},
        )

    def messages(self, job: Job) -> int:
        """Return how many messages `job` leaves on the topic."""
        return job.dataset.messages(job.chunk_size)
