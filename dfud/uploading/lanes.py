"""The processes of an upload: the watcher, and lanes of a chunker and a producer each."""

from __future__ import annotations

from typing import NamedTuple

from dfud.files.links import LinkPolicy
from dfud.logs.completed.shard_copy import ShardCopy
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

WatcherProcess = Worker[ToWatcher, FromWatcher]
ChunkerProcess = Worker[ToChunker, FromChunker]
ProducerProcess = Worker[ToProducer, FromProducer]


class LaneSettings(NamedTuple):
    """What is the same for all lanes."""

    folder: LogsFolder
    dir_fd: int  # descriptor of the open directory
    links: LinkPolicy
    ring_bytes: int
    producer: ProducerSettings


class Lane:
    """A chunker and a producer, with the ring and the channel between them: one upload "thread"."""

    def __init__(self, number: int, first_shard: int, pool: WorkerPool, settings: LaneSettings) -> None:
        """Start both processes; the producer numbers its shards from `first_shard` on."""
        self.number = number
        self._pool = pool
        self._settings = settings
        self.copies: list[ShardCopy] = []  # of the shards of each producer that this lane has had
        self._start_both(first_shard)

    def _start_both(self, first_shard: int) -> None:
        self._ring = Ring(self._settings.ring_bytes)
        self._chunker_end, self._producer_end = Channel.pair(links.LANE)
        self._pool.close_in_children(self._chunker_end)
        self._pool.close_in_children(self._producer_end)
        copy = ShardCopy(self._settings.folder, self.number)
        self.copies.append(copy)
        self._pool.close_in_children(copy)
        shards = ShardWriter(self._settings.folder, self.number, first_shard, copy)
        self.producer = self._pool.start(
            f"producer-{self.number}",
            links.PRODUCER,
            producer.run,
            (self._producer_end, self._ring, shards, self._settings.producer),
            keep_open=[self._producer_end, copy],
        )
        self._start_chunker()

    def _start_chunker(self) -> None:
        settings = self._settings
        self.chunker = self._pool.start(
            f"chunker-{self.number}",
            links.CHUNKER,
            chunker.run,
            (self._chunker_end, self._ring, settings.dir_fd, settings.producer.wire, settings.links),
            keep_open=[self._chunker_end],
        )

    @property
    def workers(self) -> tuple[ChunkerProcess, ProducerProcess]:
        """Both processes."""
        return self.chunker, self.producer

    def replace_chunker(self) -> None:
        """Start another chunker in the place of one that has died; the producer is not affected."""
        self._pool.close(self.chunker.channel)
        self._start_chunker()

    def replace_both(self, first_shard: int) -> None:
        """Start both processes anew after the producer has died: nobody can use what lies in the old ring."""
        self.chunker.process.kill()
        self.chunker.process.join()
        for item in (self.chunker.channel, self.producer.channel, self._chunker_end, self._producer_end):
            self._pool.close(item)
        self.copies[-1].is_growing = False
        self._start_both(first_shard)


def start_watcher(pool: WorkerPool, options: watcher.WatchOptions) -> WatcherProcess:
    """Start the watcher process."""
    return pool.start("watcher", links.WATCHER, watcher.run, (options,))
