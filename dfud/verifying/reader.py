"""The reader process of a verification: reads its partitions from start to end, and checks every message."""

from __future__ import annotations

import contextlib
import logging
import os
import time
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, TypeVar

from confluent_kafka import Consumer, KafkaError, KafkaException

from dfud.core.text import printable
from dfud.errors import DfudError
from dfud.files.links import LinkPolicy
from dfud.kafka.admin import make_admin_client
from dfud.kafka.logger import silent_logger
from dfud.kafka.read_errors import describe, is_final, is_forbidden
from dfud.kafka.topic_reader import READER_PROPERTIES, TopicReader
from dfud.kafka.topic_watch import topic_state
from dfud.kafka.watermarks import first_offsets
from dfud.messages import (
    BrokerOutage,
    Checked,
    FromReader,
    Gap,
    Notice,
    ReaderDone,
    ReadFailed,
    TopicReplaced,
    ToReader,
)
from dfud.processes.channel import Channel, PeerGoneError
from dfud.processes.worker import init_worker, tune_malloc
from dfud.verifying.checker import MAX_INCOMPLETE, TopicChecker
from dfud.verifying.run_reader import RunReader

_IDLE_TIMEOUT_S = 1.0  # to wait for a message
_BROKER_TIMEOUT_S = 15.0
_CORRUPT = "{}: all chunks of a version are on the topic, but they do not have the digest of the file"
_DROPPED = "more than {:,} versions are incomplete on the topic at once: {:,} of them were not checked"
_MAX_UNSENT = 1000  # verdicts
_OUTDATED = "it happened while the topic was read; verify again"
_REPORT_INTERVAL_S = 0.5  # between reports of how far it is
_RETRY_INTERVAL_S = 1.0  # between questions that the broker does not answer
_MAX_REHASH_PASSES = 5  # over chunks that arrived out of order, or twice, and differ from the local file

Answer = TypeVar("Answer")


class ReadSettings(NamedTuple):
    """What is the same for all readers."""

    directory: str
    topic: str
    properties: dict[str, Any]  # of librdkafka
    workers: int
    offsets: dict[int, tuple[int, int]]  # by partition: where to start and where to end
    links: LinkPolicy  # which links to files are followed
    topic_id: str  # at the start; "" if the broker does not say
    run: bytes | None = None  # path of the run that is verified, b"" for the directory itself; None for all files


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
        with contextlib.suppress(ReadFailedError):
            Reader(to_supervisor, number, settings).run()
    except DfudError as error:
        to_supervisor.send([ReadFailed(str(error), is_forbidden=False)])
    except KafkaException as error:
        to_supervisor.send([ReadFailed(describe(settings.topic, error.args[0]), is_forbidden=False)])
    except PeerGoneError:
        return
    os._exit(0)  # closing the consumer would wait for the broker


class ReadFailedError(Exception):
    """A partition cannot be read to its end; the main process has been told."""


class Reader:
    """Responsible for a share of the partitions."""

    def __init__(self, channel: Channel[FromReader, ToReader], number: int, settings: ReadSettings) -> None:
        """Make the consumer, in the process that uses it."""
        self._channel = channel
        self._topic = settings.topic
        self._topic_id = settings.topic_id
        self._properties = settings.properties
        share = {
            partition: (start, end)
            for partition, (start, end) in settings.offsets.items()
            if partition % settings.workers == number and end > start
        }
        self._starts = {partition: start for partition, (start, _) in share.items()}
        self._consumer = Consumer(
            {
                **settings.properties,
                **READER_PROPERTIES,
                "error_cb": self._on_error,
                "logger": silent_logger(),
            }
        )
        ends = {partition: end for partition, (_, end) in share.items()}
        self._partitions = TopicReader(self._consumer, settings.topic, ends, self._on_gap)
        self._gaps: dict[Gap, None] = {}  # several passes find the same ones
        self._deleted: dict[int, int] = {}  # by partition, the last offset that was deleted since the start
        self._checker = TopicChecker(settings.directory, settings.links)
        self._run: RunReader | None = None
        if settings.run is not None:
            self._run = RunReader(settings.run, self._checker, lambda message: self._channel.send([message]))
        self._is_unreachable = False
        self._next_report = 0.0  # s, monotonic
        self._reported = 0, 0  # messages and bytes

    def run(self) -> None:
        """Read the partitions as often as it takes, and report everything."""
        checker = self._checker
        if self._starts:
            # Once the leaders are known, nothing that follows waits for librdkafka's timers.
            with contextlib.suppress(KafkaException):  # the broker is away: `_read_once` waits for it
                self._consumer.list_topics(self._topic, timeout=_BROKER_TIMEOUT_S)
            self._read_once(checker.check if self._run is None else self._run.check)
            for _ in range(_MAX_REHASH_PASSES):
                if not checker.needs_rehash:
                    break
                checker.start_rehash()
                self._read_once(checker.rehash)
        self._send_verdicts()
        partials = checker.partials()
        for at in range(0, len(partials), _MAX_UNSENT):
            self._channel.send(partials[at : at + _MAX_UNSENT])
        if self._starts:
            self._send_changes()
        done = ReaderDone(checker.messages, checker.bytes, checker.refused, checker.dropped)
        if done.dropped:
            self._channel.send([Notice(logging.WARNING, _DROPPED.format(MAX_INCOMPLETE, done.dropped))])
        self._channel.send([done])

    def _send_changes(self) -> None:
        """Report what was not read, and what was deleted since the start: it is no longer proved."""
        # By a client of its own: where the consumer still waits for messages, the broker answers nothing else.
        admin = make_admin_client(self._properties)
        topic_id = self._ask(lambda: topic_state(admin, self._topic).topic_id)
        if self._topic_id and topic_id != self._topic_id:
            self._channel.send([TopicReplaced(topic_id)])
        else:
            lows = self._ask(lambda: first_offsets(admin, self._topic, self._starts))
            for number, start in self._starts.items():
                last = max(lows[number] - 1, self._deleted.get(number, -1))
                if last >= start:
                    self._on_gap(Gap("", number, start, last, "deleted", _OUTDATED))
        self._channel.send([*self._gaps])

    def _ask(self, question: Callable[[], Answer]) -> Answer:
        """Return the broker's answer; wait for it as reading does."""
        while True:
            try:
                return question()
            except KafkaException as raised:
                self._on_error(raised.args[0])
                self._consumer.poll(_RETRY_INTERVAL_S)  # it reports that the broker is away

    def _on_gap(self, gap: Gap) -> None:
        if gap.cause == "deleted" and not gap.reason:  # all that was deleted is reported together
            self._deleted[gap.partition] = max(gap.last, self._deleted.get(gap.partition, -1))
        else:
            self._gaps[gap] = None

    def _read_once(self, handle: Callable[[Iterable[Any]], None]) -> None:
        """Pass all messages of the partitions to `handle`, in batches."""
        self._partitions.assign(self._starts)
        while not self._partitions.is_done:
            try:
                batch = self._partitions.read(_IDLE_TIMEOUT_S)
            except KafkaException as raised:
                self._on_error(raised.args[0])
                continue
            for error in batch.errors:
                self._on_error(error)
            if batch.messages:
                self._on_reachable()
                handle(batch.messages)
                self._report_progress(time.monotonic())
            if self._checker.n_verdicts >= _MAX_UNSENT:
                self._send_verdicts()

    def _report_progress(self, now: float) -> None:
        if now < self._next_report:
            return
        self._next_report = now + _REPORT_INTERVAL_S
        messages, n_bytes = self._checker.messages, self._checker.bytes
        self._channel.send([Checked(messages - self._reported[0], n_bytes - self._reported[1])])
        self._reported = messages, n_bytes

    def _send_verdicts(self) -> None:
        for path in self._checker.pop_corrupt():
            self._channel.send([Notice(logging.WARNING, _CORRUPT.format(printable(path)))])
        verdicts = self._checker.pop_verdicts()
        if verdicts is not None:
            self._channel.send([verdicts])

    def _on_error(self, error: KafkaError) -> None:
        if is_final(error):
            self._channel.send([ReadFailed(describe(self._topic, error), is_forbidden(error))])
            raise ReadFailedError
        if error.code() == KafkaError._ALL_BROKERS_DOWN and not self._is_unreachable:
            self._is_unreachable = True
            self._channel.send([BrokerOutage(error.str())])

    def _on_reachable(self) -> None:
        if self._is_unreachable:
            self._is_unreachable = False
            self._channel.send([BrokerOutage("")])
