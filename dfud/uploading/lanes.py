"""Lanes: a chunker, a ring and a producer each, and how they are replaced."""

from __future__ import annotations

from typing import NamedTuple

from dfud.logs.completed.shards import ShardWriter
from dfud.logs.layout import LogsFolder
from dfud.messages import (
    FromChunker,
    FromProducer,
    FromWatcher,
    ToChunker,
    ToProducer,
    ToWatcher,
)
from dfud.processes import links
from dfud.processes.channel import Channel
from dfud.processes.workers import Worker, WorkerPool
from dfud.uploading import chunker, producer
from dfud.uploading.producer import ProducerSettings
from dfud.uploading.ring import Ring
from dfud.watch import watcher

WatcherWorker = Worker[ToWatcher, FromWatcher]
ChunkerWorker = Worker[ToChunker, FromChunker]
ProducerWorkerProcess = Worker[ToProducer, FromProducer]


class LaneSettings(NamedTuple):
    """What is the same for all lanes."""

    folder: LogsFolder
    directory: int  # descriptor of the open directory
    ring_bytes: int
    producer: ProducerSettings


class Lane:
    """One upload "thread"."""

    def __init__(self, number: int, first_shard: int, workers: WorkerPool, settings: LaneSettings) -> None:
        self.number = number
        self._workers = workers
        self._settings = settings
        self._shard = first_shard
        self._start_both()

    def _start_both(self) -> None:
        self._ring = Ring(self._settings.ring_bytes)
        self._chunker_end, self._producer_end = Channel.pair(links.LANE)
        self._workers.close_in_children(self._chunker_end)
        self._workers.close_in_children(self._producer_end)
        self._start_producer()
        self._start_chunker()

    def _start_chunker(self) -> None:
        self.chunker = self._workers.start(
            f"chunker-{self.number}",
            links.CHUNKER,
            chunker.run,
            (self._chunker_end, self._ring, self._settings.directory, self._settings.producer.wire),
            keep_open=[self._chunker_end],
        )

    def _start_producer(self) -> None:
        settings = self._settings
        shards = ShardWriter(settings.folder, self.number, self._shard)
        self.producer = self._workers.start(
            f"producer-{self.number}",
            links.PRODUCER,
            producer.run,
            (self._producer_end, self._ring, shards, settings.producer),
            keep_open=[self._producer_end],
        )

    @property
    def workers(self) -> tuple[ChunkerWorker, ProducerWorkerProcess]:
        return self.chunker, self.producer

    def replace_chunker(self) -> None:
        """Start another chunker in the place of one that has ended; the producer goes on."""
        self._workers.close(self.chunker.channel)
        self._start_chunker()

    def replace_both(self, first_shard: int) -> None:
        """Start the lane anew after its producer has ended: what lies in the ring is nobody's."""
        self.chunker.process.kill()
        self.chunker.process.join()
        for item in (self.chunker.channel, self.producer.channel, self._chunker_end, self._producer_end):
            self._workers.close(item)
        self._shard = first_shard
        self._start_both()


def start_watcher(workers: WorkerPool, options: watcher.WatchOptions) -> WatcherWorker:
    """Start the watcher process."""
    return workers.start("watcher", links.WATCHER, watcher.run, (options,))
