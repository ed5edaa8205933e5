"""The reader process of a verification: reads its partitions from start to end, and checks every message."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from confluent_kafka import Consumer, KafkaError

from dfud.files.links import LinkPolicy
from dfud.kafka.logger import silent_logger
from dfud.kafka.partition_reader import PartitionReader
from dfud.messages import BrokerOutage, FromReader, ReaderDone, ToReader
from dfud.processes.channel import Channel, PeerGoneError
from dfud.processes.worker import init_worker, tune_malloc
from dfud.verifying.checker import TopicChecker

_IDLE_TIMEOUT_S = 1.0  # to wait for a message
_BROKER_TIMEOUT_S = 15.0
_MAX_UNSENT = 1000  # verdicts
_MAX_REHASH_PASSES = 5  # over chunks that arrived out of order, or twice, and differ from the local file


class ReadSettings(NamedTuple):
    """What is the same for all readers."""

    directory: str
    topic: str
    properties: dict[str, Any]  # of librdkafka
    workers: int
    offsets: dict[int, tuple[int, int]]  # by partition: where to start and where to end
    links: LinkPolicy  # which links to files are followed


def run(
    name: str,
    supervisor_pid: int,
    to_supervisor: Channel[FromReader, ToReader],
    number: int,
    settings: ReadSettings,
) -> None:
    """Run reader `number`: check its partitions, report what was found, and exit."""
    init_worker(name, supervisor_pid)
    tune_malloc()
    try:
        Reader(to_supervisor, number, settings).run()
    except PeerGoneError:
        return
    os._exit(0)  # closing the consumer would wait for the broker


class Reader:
    """Responsible for a share of the partitions."""

    def __init__(self, channel: Channel[FromReader, ToReader], number: int, settings: ReadSettings) -> None:
        """Make the consumer, in the process that uses it."""
        self._channel = channel
        self._topic = settings.topic
        share = {
            partition: (start, end)
            for partition, (start, end) in settings.offsets.items()
            if partition % settings.workers == number and end > start
        }
        self._starts = {partition: start for partition, (start, _) in share.items()}
        self._consumer = Consumer(
            {
                **settings.properties,
                "enable.partition.eof": True,
                "error_cb": self._on_error,
                "logger": silent_logger(),
            }
        )
        ends = {partition: end for partition, (_, end) in share.items()}
        self._partitions = PartitionReader(self._consumer, settings.topic, ends)
        self._checker = TopicChecker(settings.directory, settings.links)
        self._is_unreachable = False

    def run(self) -> None:
        """Read the partitions as often as it takes, and report everything."""
        checker = self._checker
        if self._starts:
            # Once the leaders are known, nothing that follows waits for librdkafka's timers.
            self._consumer.list_topics(self._topic, _BROKER_TIMEOUT_S)
            self._read_once(checker.check)
            for _ in range(_MAX_REHASH_PASSES):
                if not checker.needs_rehash:
                    break
                checker.start_rehash()
                self._read_once(checker.rehash)
        self._send_verdicts()
        partials = checker.partials()
        for at in range(0, len(partials), _MAX_UNSENT):
            self._channel.send(partials[at : at + _MAX_UNSENT])
        self._channel.send([ReaderDone(checker.messages, checker.bytes, checker.refused)])

    def _read_once(self, handle: Callable[[Iterable[Any]], None]) -> None:
        """Pass all messages of the partitions to `handle`, in batches."""
        self._partitions.assign(self._starts)
        while not self._partitions.is_done:
            batch = self._partitions.read(_IDLE_TIMEOUT_S)
            for error in batch.errors:
                self._on_error(error)
            if batch.messages:
                self._on_reachable()
                handle(batch.messages)
            if self._checker.n_verdicts >= _MAX_UNSENT:
                self._send_verdicts()

    def _send_verdicts(self) -> None:
        verdicts = self._checker.pop_verdicts()
        if verdicts is not None:
            self._channel.send([verdicts])

    def _on_error(self, error: KafkaError) -> None:
        if error.code() == KafkaError._ALL_BROKERS_DOWN and not self._is_unreachable:
            self._is_unreachable = True
            self._channel.send([BrokerOutage(error.str())])

    def _on_reachable(self) -> None:
        if self._is_unreachable:
            self._is_unreachable = False
            self._channel.send([BrokerOutage("")])
