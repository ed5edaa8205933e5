"""The fetcher process: reads its share of the partitions, and assembles files from the messages."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Sequence
from typing import Any

from confluent_kafka import Consumer, KafkaError, TopicPartition

from dfud.core.names import LOGS, UNDECIDED, DownloadFilter
from dfud.core.receiver_mark import receiver_mark
from dfud.core.text import printable
from dfud.downloading.assembler import Assembler
from dfud.downloading.broker_state import BrokerState
from dfud.downloading.checkpoint import Checkpoints
from dfud.downloading.disk import Disk, DiskReporter
from dfud.downloading.group_member import GroupMember
from dfud.downloading.offsets import OffsetCommitter, Position
from dfud.downloading.owed_receipts import OwedReceipts
from dfud.downloading.part_metadata import PartName
from dfud.downloading.parts_folder import PartsFolder
from dfud.downloading.run_options import open_target
from dfud.downloading.settings import FetchSettings
from dfud.downloading.supervisor_link import AbandonedError, SupervisorLink
from dfud.downloading.topic_reading import CONSUMER_PROPERTIES, TopicReading
from dfud.files.confined import ConfinedTree
from dfud.files.sync import FileSystemSync
from dfud.kafka.logger import silent_logger
from dfud.kafka.topic_watch import TopicWatch, Watch
from dfud.messages import CaughtUp, CommitFailed, Fetched, FromFetcher, Merge, ReceiptsSent, Release, ToFetcher
from dfud.processes.bounded_pattern import BoundedPattern
from dfud.processes.channel import Channel, PeerGoneError
from dfud.processes.worker import init_worker, tune_malloc

ConsumerFactory = Callable[[dict[str, Any]], Consumer]
WatchFactory = Callable[[dict[str, Any], str], Watch]

_REPORT_INTERVAL_S = 0.5
_COMMIT_TIMEOUT_S = 10.0  # at the end
_DISK_RETRY_INTERVAL_S = 1.0
_CHECK_INTERVAL_S = 5.0  # for what has failed, while there is always something to read
_RECEIPTS_TIMEOUT_S = 10.0  # at the end, while none is sent
_SAVE_TIMEOUT_S = 5.0  # likewise, while the group waits for us to give partitions away
_MAX_OWED = (
    100_000  # receipts in memory, of all fetchers: some 400 bytes each. Until some are sent, nothing is read.
)
_FULL_PAUSE_S = 0.25


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
    fetcher = Fetcher(to_supervisor, number, settings, Consumer, TopicWatch)
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
        watch_factory: WatchFactory,
    ) -> None:
        """Prepare fetcher `number` out of `settings.n_fetchers`; nothing is read before `run`."""
        self._is_shared = settings.n_fetchers > 1
        self._is_merging = self._is_shared and not settings.is_shared_group  # what several fetchers have of a file
        self._supervisor = SupervisorLink(
            channel, self._on_release, self._on_merge, self._on_receipts_sent, settings.log_level
        )
        directory = ConfinedTree(settings.directory)
        logs = directory.open_folder(LOGS, logs=True)
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
        keeps_placed = settings.receipts is not None
        self._folder = PartsFolder(os.open(settings.parts_folder, flags, dir_fd=logs), keeps_placed)
        self._filter = DownloadFilter(settings.download_regex, BoundedPattern)
        directory.close()
        self._tree, take_manifest = open_target(settings, self._folder.dir_fd, self._filter.accepts)
        report = self._supervisor.report
        self._disk_reporter = DiskReporter(settings.directory, report)
        self._has_waited = False  # for the disk, since the last turn
        self._member: GroupMember | None = None
        if settings.is_shared_group:
            alone = {**settings.properties, **CONSUMER_PROPERTIES}
            self._member = GroupMember(
                settings,
                self._save,
                lambda: consumer_factory({**alone, "error_cb": self._broker.on_error, "logger": silent_logger()}),
            )
        self._receipts: OwedReceipts | None = None
        if settings.receipts is not None:
            self._receipts = OwedReceipts(
                self._supervisor.add,
                self._commit,
                self._forget_parts,
                report,
                settings.receipts.with_sha256,
                _MAX_OWED // settings.n_fetchers,
            )
        self._assembler = Assembler(
            self._tree,
            self._folder,
            number,
            Disk(self._wait_for_disk),
            self._is_shared or settings.runs is not None,
            self._filter.accepts,
            report,
            self._member.claims if self._member else None,
            self._receipts,
            take_manifest,
        )
        if self._member is not None:
            self._member.take_part(self._assembler)
        group = str(settings.properties.get("group.id"))
        self._broker = BrokerState(group, self._supervisor.add)
        consumer = consumer_factory(
            {
                **settings.properties,
                **CONSUMER_PROPERTIES,
                "error_cb": self._broker.on_error,
                "on_commit": self._on_commit,
                "logger": silent_logger(),
            }
        )
        watch = watch_factory(settings.properties, settings.topic)
        self._reading = TopicReading(
            consumer, watch, number, settings, self._broker, self._supervisor.add, self._member
        )
        mark = "" if settings.receipts is None else receiver_mark(settings.receipts.receiver)
        self._offsets = OffsetCommitter(
            consumer, settings.topic, group, self._on_commit_changed, settings.is_shared_group, mark
        )
        self._checkpoints = Checkpoints(
            self._assembler.store,
            self._folder,
            FileSystemSync(self._folder.dir_fd),
            self._commit,
            self._disk_reporter,
            self._receipts,
        )
        self._is_caught_up = False
        self._next_report = 0.0
        self._next_check = time.monotonic() + _CHECK_INTERVAL_S

    def run(self) -> None:
        """Read until asked to stop; then put everything on disk and commit it, as far as possible."""
        failure = "the disk refused what was read last"
        try:
            self._assembler.place_earlier()
            while not self._supervisor.is_stopping:
                self.run_once()
            self._assembler.stop()
            if self._checkpoints.finish(self._committable()):
                failure = ""
            self._wait_for_receipts(_RECEIPTS_TIMEOUT_S)
            self._reading.stop()
            self._offsets.wait(_COMMIT_TIMEOUT_S)
        except AbandonedError:
            pass
        self._report_undecided()
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
        if self._receipts is not None and self._receipts.is_full:
            self._supervisor.wait_for_receipts(_FULL_PAUSE_S)
        else:
            self._read()
        # The other members of a group wait until they see that everything was read.
        at_once = self._member is not None and self._reading.has_read_own
        if at_once or self._checkpoints.is_due:
            self._checkpoints.run_due(self._committable(), at_once)
        if self._member is not None:
            self._member.run_once()
        self._report(time.monotonic())
        self._supervisor.send()
        self._supervisor.handle()

    def _read(self) -> None:
        messages, positions = self._reading.read()
        self._assembler.topic_id = self._reading.topic_id
        self._tree.close_folders()  # others may have moved them meanwhile
        if messages:
            self._take(messages)
        self._reading.positions.update(positions)
        now, is_end = time.monotonic(), self._reading.is_done
        if is_end or not messages or now >= self._next_check:
            self._next_check = now + _CHECK_INTERVAL_S
            self._assembler.on_quiet(is_end)
        if self._has_waited:
            self._has_waited = False
            self._disk_reporter.on_success()

    def _take(self, messages: Sequence[Any]) -> None:
        self._assembler.take(messages)
        if self._is_merging:
            self._supervisor.add(*self._assembler.store.reports.take_often())

    def _committable(self) -> dict[int, Position]:
        """Return by partition the positions before which nothing will have to be read again."""
        return self._reading.positions if self._member is None else self._member.committable()

    def _save(self) -> None:
        """Put all that was taken on disk, and commit it; a callback of the consumer may call this."""
        committable = self._committable()
        if not self._checkpoints.finish(committable):
            return
        if self._wait_for_receipts(_SAVE_TIMEOUT_S):
            self._offsets.commit_now(committable)
        elif self._receipts is not None:  # whoever reads these partitions from now on receives the files, too
            self._receipts.drop_commits()
            self._checkpoints.on_commit_failed()

    # -- receipts

    def _wait_for_receipts(self, timeout_s: float) -> bool:
        """Wait until no receipt is owed, or none was sent for `timeout_s`; return whether none is owed."""
        if self._receipts is None:
            return True
        n_answers, deadline = -1, 0.0
        while not self._receipts.is_settled:
            self._supervisor.send()
            if n_answers != self._receipts.n_answers:
                n_answers, deadline = self._receipts.n_answers, time.monotonic() + timeout_s
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                return False
            self._supervisor.wait_for_receipts(left_s)
        return True

    def _forget_parts(self, names: list[PartName]) -> None:
        self._assembler.store.forget_owed(names)

    def _on_receipts_sent(self, sent: ReceiptsSent) -> None:
        if self._receipts is not None:
            self._receipts.on_sent(sent.number)

    # -- the supervisor

    def _report(self, now: float) -> None:
        self._report_undecided()
        is_gleaned = self._member is None or self._member.is_done
        is_done = self._reading.is_done and (is_gleaned or self._reading.has_given_up)
        is_caught_up = is_done and not self._is_caught_up
        if is_caught_up or now >= self._next_report:
            self._next_report = now + _REPORT_INTERVAL_S
            if self._is_merging:
                self._supervisor.add(*self._assembler.store.reports.take_all())
            counts = self._assembler.counts.take()
            if any(counts):
                self._supervisor.add(Fetched(counts, self._reading.to_read))
        if is_caught_up:
            self._is_caught_up = True
            if self._member is not None:
                self._supervisor.add(*self._member.unfinished_elsewhere())
            self._supervisor.add(CaughtUp())

    def _report_undecided(self) -> None:
        for path in self._filter.pop_undecided():
            self._assembler.counts.undecided += 1
            cause = f"--download_regex {UNDECIDED}"
            self._supervisor.report(logging.WARNING, f"{printable(path)} left: {cause}", path, cause)

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

    def _commit(self, positions: dict[int, Position]) -> None:
        self._offsets.commit(positions)
        self._retry_failed_commit()

    def _retry_failed_commit(self) -> None:
        if self._offsets.failure or self._offsets.was_rebalancing:
            self._checkpoints.on_commit_failed()

    def _on_commit_changed(self, failure: str) -> None:
        self._supervisor.add(CommitFailed(failure))

    def _on_commit(self, error: KafkaError | None, offsets: list[TopicPartition]) -> None:
        self._offsets.on_commit(error, offsets)
        self._retry_failed_commit()
