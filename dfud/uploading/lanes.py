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
from dfud.watch.settled import Settled

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
        self.copies: list[ShardCopy] = []  # of the shards of the producers that have died, and of the present one
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
            (self._producer_end, self._ring, shards, self._producer_settings),
            keep_open=[self._producer_end, copy],
        )
        self._start_chunker()

    def _start_chunker(self) -> None:
        settings, line = self._settings, self._settings.producer.line
        self.chunker = self._pool.start(
            f"chunker-{self.number}",
            links.CHUNKER,
            chunker.run,
            (
                self._chunker_end,
                self._ring,
                settings.dir_fd,
                settings.producer.wire,
                settings.links,
                settings.folder,
                chunker.MAX_RUN_BYTES if line is None else line.line.turn_bytes,
            ),
            keep_open=[self._chunker_end],
        )

    @property
    def _producer_settings(self) -> ProducerSettings:
        """The settings of this lane's producer: only the first one monitors the topic."""
        settings = self._settings.producer._replace(lane=self.number)
        return settings if self.number == 0 else settings._replace(monitored=None)

    def on_new_topic(self, topic_id: str) -> None:
        """Start the next producer for a topic that was made anew."""
        settings = self._settings.producer
        facts = settings.monitored and settings.monitored._replace(topic_id=topic_id)
        self._settings = self._settings._replace(producer=settings._replace(topic_id=topic_id, monitored=facts))

    @property
    def workers(self) -> tuple[ChunkerProcess, ProducerProcess]:
        """Both processes."""
        return self.chunker, self.producer

    @property
    def progress(self) -> int:
        """A number that grows whenever the producer has passed something on to librdkafka."""
        return self._ring.freed

    def kill(self) -> None:
        """Kill both processes, and wait for their end."""
        for worker in self.workers:
            worker.process.kill()
            worker.process.join()

    def replace_chunker(self) -> None:
        """Start another chunker in the place of one that has died; the producer is not affected."""
        self._pool.discard(self.chunker)
        self._start_chunker()

    def replace_both(self, first_shard: int) -> None:
        """Start both processes anew after the producer has died: nobody can use what lies in the old ring."""
        self.chunker.process.kill()
        for worker in self.workers:
            self._pool.discard(worker)
        for end in (self._chunker_end, self._producer_end):
            self._pool.close(end)
        self._keep_copy()
        self._start_both(first_shard)

    def _keep_copy(self) -> None:
        """Keep what the dead producer's copy has, in one file with that of those that died before it."""
        copy = self.copies[-1]
        copy.is_growing = False
        if len(self.copies) > 1 and self.copies[-2].absorb(copy):
            self._pool.close(self.copies.pop())


def start_watcher(
    pool: WorkerPool, options: watcher.WatchOptions, settled: Settled | None = None
) -> WatcherProcess:
    """Start the watcher process, whose first scan passes over what is `settled`."""
    return pool.start("watcher", links.WATCHER, watcher.run, (options, settled))
