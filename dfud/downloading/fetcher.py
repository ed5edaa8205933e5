"""The fetcher process: reads its share of the partitions, and assembles files from the messages."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from dfud.core.names import LOGS, path_filter
from dfud.downloading.assembler import Assembler
from dfud.downloading.assignment import Assignment
from dfud.downloading.checkpoint import Checkpoints
from dfud.downloading.disk import Disk, DiskReporter
from dfud.downloading.offsets import OffsetCommitter
from dfud.downloading.parts_folder import PartsFolder
from dfud.downloading.settings import FetchSettings
from dfud.downloading.supervisor_link import AbandonedError, SupervisorLink
from dfud.files.confined import ConfinedTree
from dfud.files.sync import FileSystemSync
from dfud.kafka.logger import silent_logger
from dfud.kafka.partition_reader import PartitionReader
from dfud.messages import BrokerOutage, CaughtUp, CommitFailed, Fetched, FromFetcher, Merge, Release, ToFetcher
from dfud.processes.channel import Channel, PeerGoneError
from dfud.processes.worker import init_worker, tune_malloc

ConsumerFactory = Callable[[dict[str, Any]], Consumer]

_IDLE_TIMEOUT_S = 0.25  # for the next message
_DONE_TIMEOUT_S = 0.01  # when no more messages are wanted, but the supervisor's orders are
_REPORT_INTERVAL_S = 0.5
_PARTITION_CHECK_INTERVAL_S = 60.0  # for partitions that were added to the topic
_ASSIGN_INTERVAL_S = 1.0  # between attempts while the broker does not answer
_COMMIT_TIMEOUT_S = 10.0  # at the end
_DISK_RETRY_INTERVAL_S = 1.0


def run(
    name: str,
    supervisor_pid: int,
    to_supervisor: Channel[FromFetcher, ToFetcher],
    number: int,
    settings: FetchSettings,
) -> None:
    """Run the fetcher with this number until it is asked to stop."""
    init_worker(name, supervisor_pid)
    tune_malloc()
    fetcher = Fetcher(to_supervisor, number, settings, Consumer)
    try:
        fetcher.run()
    except PeerGoneError:
        return
    os._exit(0)  # closing the consumer would wait for a broker that may be away; all is committed


class Fetcher:
    """Responsible for a share of the partitions: what is read from them, and what is committed."""

    def __init__(
        self,
        channel: Channel[FromFetcher, ToFetcher],
        number: int,
        settings: FetchSettings,
        consumer_factory: ConsumerFactory,
    ) -> None:
        """Prepare fetcher `number` out of `settings.n_fetchers`; nothing is read before `run`."""
        self._settings = settings
        self._is_shared = settings.n_fetchers > 1
        self._supervisor = SupervisorLink(channel, self._on_release, self._on_merge)
        self._tree = ConfinedTree(settings.directory)
        logs = self._tree.open_folder(LOGS, logs=True)
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
        self._folder = PartsFolder(os.open(settings.parts_folder, flags, dir_fd=logs))
        report = self._supervisor.report
        self._disk_reporter = DiskReporter(settings.directory, report)
        self._has_waited = False  # for the disk, since the last messages were taken
        self._assembler = Assembler(
            self._tree,
            self._folder,
            number,
            Disk(self._wait_for_disk),
            self._is_shared,
            path_filter(settings.download_regex),
            report,
        )
        self._consumer = consumer_factory(
            {
                **settings.properties,
                "enable.partition.eof": settings.ends is not None,
                "error_cb": self._on_error,
                "on_commit": self._on_commit,
                "logger": silent_logger(),
            }
        )
        self._reader = PartitionReader(self._consumer, settings.topic, settings.ends)
        self._assignment = Assignment(self._consumer, self._reader, number, settings)
        self._offsets = OffsetCommitter(
            self._consumer, settings.topic, lambda reason: self._supervisor.add(CommitFailed(reason))
        )
        self._checkpoints = Checkpoints(
            self._assembler.store,
            self._folder,
            FileSystemSync(self._folder.dir_fd),
            self._offsets.commit,
            self._disk_reporter,
        )
        self._positions: dict[int, int] = {}  # by partition, the offset of the next message
        self._outage = ""  # why the broker cannot be reached
        self._is_caught_up = False
        self._next_report = self._next_assignment = 0.0

    def run(self) -> None:
        """Read until asked to stop; then put everything on disk and commit it, as far as possible."""
        failure = "the disk refused what was read last"
        try:
            self._assembler.place_earlier()
            while not self._supervisor.is_stopping:
                self.run_once()
            if self._checkpoints.finish(self._positions):
                failure = ""
            self._assignment.stop()
            self._offsets.wait(_COMMIT_TIMEOUT_S)
        except AbandonedError:
            pass
        failure = self._offsets.failure or failure
        self._supervisor.add(Fetched(self._assembler.counts.take()))
        if failure:
            self._supervisor.add(CommitFailed(failure))
        self._supervisor.send()

    def close(self) -> None:
        """Close all files; the channel and the consumer stay open."""
        self._assembler.close()
        self._tree.close()
        os.close(self._folder.dir_fd)

    def run_once(self) -> None:
        """Take one batch of messages, and do what is due."""
        now = time.monotonic()
        if now >= self._next_assignment:
            self._assign(now)
        messages, next_offsets, errors = self._reader.read(_DONE_TIMEOUT_S if self._is_done else _IDLE_TIMEOUT_S)
        for error in errors:
            self._set_outage(error.str())
        if messages:
            self._take(messages, next_offsets)
        self._checkpoints.run_due(self._positions)
        self._report(now)
        self._supervisor.send()
        self._supervisor.handle()

    @property
    def _is_done(self) -> bool:
        """Whether everything up to the end offsets has been read, and no more is wanted."""
        return self._assignment.is_complete and self._reader.is_done

    def _assign(self, now: float) -> None:
        try:
            self._assignment.update()
            self._next_assignment = now + _PARTITION_CHECK_INTERVAL_S
        except KafkaException as error:
            self._set_outage(error.args[0].str())
            self._next_assignment = now + _ASSIGN_INTERVAL_S

    def _take(self, messages: Sequence[Any], next_offsets: dict[int, int]) -> None:
        self._set_outage("")
        self._tree.close_folders()
        self._assembler.take(messages)
        if self._has_waited:
            self._has_waited = False
            self._disk_reporter.on_success()
        self._positions.update(next_offsets)
        if self._is_shared:
            self._supervisor.add(*self._assembler.store.reports.take_often())

    # -- the supervisor

    def _report(self, now: float) -> None:
        is_caught_up = self._is_done and not self._is_caught_up
        if is_caught_up or now >= self._next_report:
            self._next_report = now + _REPORT_INTERVAL_S
            if self._is_shared:
                self._supervisor.add(*self._assembler.store.reports.take_all())
            counts = self._assembler.counts.take()
            if any(counts):
                self._supervisor.add(Fetched(counts))
        if is_caught_up:
            self._is_caught_up = True
            self._supervisor.add(CaughtUp())

    def _on_release(self, order: Release) -> None:
        self._supervisor.add(self._assembler.store.release(order.part))

    def _on_merge(self, order: Merge) -> None:
        self._assembler.merge(order.part, order.donors)
        self._next_report = 0.0

    # -- the disk

    def _wait_for_disk(self, error: OSError) -> None:
        """Wait until it makes sense to retry; AbandonedError if we are asked to stop meanwhile."""
        self._disk_reporter.on_failure(error)
        self._has_waited = True
        self._supervisor.send()
        self._supervisor.pause(_DISK_RETRY_INTERVAL_S)

    # -- the broker

    def _on_commit(self, error: KafkaError | None, offsets: list[TopicPartition]) -> None:
        self._offsets.on_commit(error, offsets)

    def _on_error(self, error: KafkaError) -> None:
        if error.code() == KafkaError._ALL_BROKERS_DOWN or error.fatal():
            self._set_outage(error.str())

    def _set_outage(self, reason: str) -> None:
        """Report when the broker becomes unreachable, and when it is reachable again."""
        if bool(reason) != bool(self._outage):
            self._supervisor.add(BrokerOutage(reason))
        self._outage = reason
