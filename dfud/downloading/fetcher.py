"""The fetcher process: reads its partitions and hands what it reads to its assembler."""

from __future__ import annotations

import logging
import os
import select
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from dfud.core.names import LOGS, path_filter
from dfud.downloading.assembler import Assembler
from dfud.downloading.checkpoint import Checkpoints
from dfud.downloading.disk import Disk
from dfud.downloading.part_store import PartStore
from dfud.downloading.parts import PartsFolder
from dfud.files.confined import ConfinedTree
from dfud.files.sync import FileSystemSync
from dfud.kafka.topic import silent_logger
from dfud.messages import (
    BrokerOutage,
    CaughtUp,
    CommitFailed,
    Fetched,
    FromFetcher,
    Merge,
    Notice,
    Release,
    Stop,
    ToFetcher,
)
from dfud.processes.channel import Channel, PeerGoneError
from dfud.processes.worker import init_worker, tune_malloc

ConsumerFactory = Callable[[dict[str, Any]], Consumer]

_BATCH = 500  # messages taken at once
_IDLE_TIMEOUT_S = 0.25  # s to wait for the first message
_PAUSE_S = 0.01  # s to wait when nothing is to come any more
_REPORT_INTERVAL_S = 0.5  # s
_PARTITION_CHECK_INTERVAL_S = 60.0  # s between looks at how many partitions there are
_BROKER_TIMEOUT_S = 5.0  # s for the broker to answer
_COMMIT_TIMEOUT_S = 10.0  # s at the end
_EARLIEST = ("earliest", "smallest", "beginning", "")
_DISK_RETRY_S = 1.0  # s before a full disk is tried again


class AbandonedError(Exception):
    """We are to leave while the disk won't take what we have."""


class FetchSettings(NamedTuple):
    """What is the same for all fetchers."""

    directory: str
    parts: str  # name of the folder of parts in LOGS
    topic: str
    properties: dict[str, Any]  # of librdkafka
    workers: int
    ends: dict[int, int] | None  # with --once: the offset by partition at which to stop
    download_regex: str


def run(
    name: str,
    supervisor: int,
    to_supervisor: Channel[FromFetcher, ToFetcher],
    number: int,
    settings: FetchSettings,
) -> None:
    """Be the fetcher `number` until told to leave."""
    init_worker(name, supervisor)
    tune_malloc()
    fetcher = Fetcher(to_supervisor, number, settings, lambda properties: Consumer(properties))
    try:
        fetcher.run()
    except PeerGoneError:
        return  # the supervisor sees which of us ended, and decides


class Fetcher:
    """Responsible for a share of the partitions: for what is read, and what is committed."""

    def __init__(
        self,
        channel: Channel[FromFetcher, ToFetcher],
        number: int,
        settings: FetchSettings,
        consumer_factory: ConsumerFactory,
    ) -> None:
        self._channel = channel
        self._number = number
        self._settings = settings
        tree = ConfinedTree(settings.directory)
        logs = tree.open_folder(LOGS, logs=True)
        parts = os.open(settings.parts, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=logs)
        folder = PartsFolder(parts)
        self._tree = tree
        self._outbox: list[FromFetcher] = []
        disk = Disk(self._endure)
        self._shelf = PartStore(tree, folder, number, disk, self._tell)
        accepts = path_filter(settings.download_regex)
        alone = settings.workers == 1
        self._assembler = Assembler(tree, folder, self._shelf, disk, alone, accepts, self._tell)
        sync = FileSystemSync(parts)
        self._checkpoints = Checkpoints(
            self._assembler.snapshot, self._shelf, folder, sync, self._commit, self._tell_disk_trouble
        )
        self._positions: dict[int, int] = {}  # by partition: the offset of the next message
        self._reading: set[int] = set()  # partitions, with --once those that are not at their end
        self._assigned: set[int] = set()
        self._assigned_all = False
        self._later: list[ToFetcher] = []  # from the supervisor, come while the disk was full
        self._leaving = False
        self._caught_up = False
        self._away = ""
        self._uncommitted = ""
        self._disk_trouble = ""
        self._disk_waited = False  # since the last messages were taken
        self._commits_waiting = 0
        self._next_report = 0.0
        self._next_look = 0.0
        properties = dict(settings.properties)
        properties.update(
            {
                "enable.partition.eof": settings.ends is not None,
                "error_cb": self._on_error,
                "on_commit": self._on_commit,
                "logger": silent_logger(),
            }
        )
        self._consumer = consumer_factory(properties)

    def run(self) -> None:
        """Read until told to leave; then put all on disk, commit it and end."""
        try:
            self._assembler.start()
            while not self._leaving:
                self.run_once()
            done = self._checkpoints.finish(self._positions)
            self._await_commits()
        except AbandonedError:
            done = False
        if not done:
            self._uncommitted = self._uncommitted or "the disk did not take what was read last"
        self._outbox.append(Fetched(self._assembler.tally.take()))
        if self._uncommitted:
            self._outbox.append(CommitFailed(self._uncommitted))
        self._send()
        self._assembler.close()
        os._exit(0)  # closing the consumer would wait for a broker that may be away; all is committed

    def run_once(self) -> None:
        """Take one batch of messages."""
        now = time.monotonic()
        if now >= self._next_look:
            self._assign()
            self._next_look = now + (_PARTITION_CHECK_INTERVAL_S if self._assigned_all else 1.0)
        messages = self._consumer.consume(_BATCH, 0)
        if not messages:
            message = self._consumer.poll(_IDLE_TIMEOUT_S if not self._is_done else _PAUSE_S)
            messages = [] if message is None else [message]
        if messages:
            self._take(messages)
        self._checkpoints.tick(self._positions)
        if self._is_done and not self._caught_up:
            self._caught_up = True
            if self._settings.workers > 1:
                self._outbox.extend(self._shelf.held())
            self._outbox.append(CaughtUp())
            now = self._next_report
        if now >= self._next_report:
            self._report(now)
        self._send()
        self._obey()

    @property
    def _is_done(self) -> bool:
        """Whether all that was on our partitions at the start has been read, and no more is wanted."""
        return self._settings.ends is not None and self._assigned_all and not self._reading

    # -- messages

    def _take(self, messages: list[Any]) -> None:
        good = []
        for message in messages:
            error = message.error()
            number = message.partition()
            if error is None:
                if number in self._reading:
                    good.append(message)
            else:
                self._on_message_error(error, number, message.offset())
        if not good:
            return
        if self._away:
            self._tell_away("")
        self._tree.close_folders()
        self._assembler.take(good)
        if self._disk_waited:
            self._disk_waited = False
            self._tell_disk_trouble("")
        for message in good:
            self._positions[message.partition()] = message.offset() + 1
        ends = self._settings.ends
        if ends is not None:
            for number in {message.partition() for message in good}:
                if self._positions[number] >= ends.get(number, 0):
                    self._reading.discard(number)
        if self._settings.workers > 1:
            self._outbox.extend(self._shelf.spread())

    def _on_message_error(self, error: KafkaError, number: int, offset: int) -> None:
        if error.code() == KafkaError._PARTITION_EOF:
            ends = self._settings.ends
            if ends is not None and offset >= ends.get(number, 0):
                self._reading.discard(number)
        else:
            self._tell_away(error.str())

    def _assign(self) -> None:
        """Take the partitions that are ours: at the start, and when the topic has got more of them."""
        self._assigned_all = False
        topic, ends = self._settings.topic, self._settings.ends
        try:
            # First, whatever we ask: with the leaders known, nothing after it waits for librdkafka's timers.
            found = self._consumer.list_topics(topic, _BROKER_TIMEOUT_S).topics[topic]
            if found.error is not None:
                raise KafkaException(found.error)
            numbers = set(found.partitions if ends is None else ends)
            ours = {number for number in numbers if number % self._settings.workers == self._number}
            fresh = sorted(ours - self._assigned)
            if fresh:
                asked = [TopicPartition(topic, number) for number in fresh]
                starts = self._consumer.committed(asked, _BROKER_TIMEOUT_S)
                for start in starts:
                    if start.error is not None:
                        raise KafkaException(start.error)
                    if start.offset < 0:
                        start.offset = self._beginning(start)
                self._consumer.incremental_assign(starts)
                self._assigned.update(fresh)
                self._reading.update(fresh)
                for start in starts:
                    if ends is not None and start.offset >= ends[start.partition]:
                        self._reading.discard(start.partition)
            self._assigned_all = True
        except KafkaException as problem:
            self._tell_away(problem.args[0].str())

    def _beginning(self, partition: TopicPartition) -> int:
        """Return where a group begins that has committed nothing: a number, which is fetched from at once."""
        low, high = self._consumer.get_watermark_offsets(partition, _BROKER_TIMEOUT_S)
        reset = str(self._settings.properties.get("auto.offset.reset", ""))
        return int(low if reset in _EARLIEST else high)

    # -- offsets

    def _commit(self, positions: dict[int, int]) -> None:
        topic = self._settings.topic
        offsets = [TopicPartition(topic, number, offset) for number, offset in positions.items()]
        try:
            self._consumer.commit(offsets=offsets, asynchronous=True)
            self._commits_waiting += 1
        except KafkaException as problem:
            self._on_commit(problem.args[0], offsets)

    def _on_commit(self, error: KafkaError | None, offsets: list[TopicPartition]) -> None:
        self._commits_waiting = max(0, self._commits_waiting - 1)
        failed = error or next((each.error for each in offsets if each.error is not None), None)
        why = failed.str() if failed is not None else ""
        if why != self._uncommitted:
            self._uncommitted = why
            self._outbox.append(CommitFailed(why))

    def _await_commits(self) -> None:
        deadline = time.monotonic() + _COMMIT_TIMEOUT_S
        self._consumer.incremental_unassign([TopicPartition(self._settings.topic, n) for n in self._assigned])
        while self._commits_waiting and time.monotonic() < deadline:
            self._consumer.poll(0.05)
        if self._commits_waiting:
            self._uncommitted = self._uncommitted or "the broker did not answer"

    # -- the supervisor

    def _obey(self) -> None:
        messages = [*self._later, *self._channel.receive(wait=False)]
        self._later = []
        for message in messages:
            if isinstance(message, Stop):
                self._leaving = True
            elif isinstance(message, Release):
                self._outbox.append(self._shelf.give(message.part))
            elif isinstance(message, Merge):
                self._assembler.merge(message.part, message.donors)
                self._next_report = 0.0

    def _report(self, now: float) -> None:
        self._next_report = now + _REPORT_INTERVAL_S
        if self._settings.workers > 1:
            self._outbox.extend(self._shelf.held())
        counts = self._assembler.tally.take()
        if any(counts):
            self._outbox.append(Fetched(counts))

    def _send(self) -> None:
        if self._outbox:
            outbox, self._outbox = self._outbox, []
            self._channel.send(outbox)

    def _tell(self, level: int, text: str) -> None:
        self._outbox.append(Notice(level, text))

    def _endure(self, error: OSError) -> None:
        """Wait until the disk may take something again; Abandoned if we are to leave meanwhile."""
        self._tell_disk_trouble(error.strerror or str(error))
        self._disk_waited = True
        self._send()
        if select.select([self._channel], [], [], _DISK_RETRY_S)[0]:
            self._obey_only_leave()

    def _obey_only_leave(self) -> None:
        for message in self._channel.receive(wait=False):
            if isinstance(message, Stop):
                raise AbandonedError
            self._later.append(message)

    def _tell_disk_trouble(self, why: str) -> None:
        if why != self._disk_trouble:
            self._disk_trouble = why
            if why:
                text = f"{self._settings.directory} can't be written: {why}; dfud waits, nothing is lost"
                self._tell(logging.ERROR, text)
            else:
                self._tell(logging.WARNING, f"{self._settings.directory} can be written again")

    # -- the broker

    def _on_error(self, error: KafkaError) -> None:
        if error.code() == KafkaError._ALL_BROKERS_DOWN or error.fatal():
            self._tell_away(error.str())

    def _tell_away(self, why: str) -> None:
        if bool(why) != bool(self._away):
            self._outbox.append(BrokerOutage(why))
        self._away = why
