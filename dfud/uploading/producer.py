"""The producer process: gives the chunks of its lane to librdkafka, and records what the broker acknowledges."""

from __future__ import annotations

import logging
import select
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from dfud.kafka.quick_producer import quick_producer
from dfud.kafka.topic_facts import Finding, Severity, TopicFacts
from dfud.kafka.topic_monitor import TopicMonitor
from dfud.kafka.topic_rules import UploadNeeds
from dfud.logs.completed.shards import ShardWriter
from dfud.logs.times import ForwardClock
from dfud.messages import (
    BrokerSilent,
    CanaryDelivered,
    CanaryRead,
    ChunkerToProducer,
    Drain,
    FileDropped,
    FromProducer,
    Notice,
    ProducerToChunker,
    RunReady,
    ShardsDisturbed,
    SpaceAbandoned,
    SpaceFreed,
    Stop,
    TopicFindings,
    TopicHarmed,
    ToProducer,
)
from dfud.processes.channel import Channel, PeerGoneError
from dfud.processes.dispatch import Dispatcher
from dfud.processes.worker import init_worker, tune_malloc
from dfud.uploading.client_statistics import StatisticsReporter
from dfud.uploading.completed_writer import CompletedWriter
from dfud.uploading.files_in_progress import FilesInProgress
from dfud.uploading.last_ack import LastAck
from dfud.uploading.linger import Linger
from dfud.uploading.long_line import SharedLine, Turns, VersionOrder
from dfud.uploading.outbox import Outbox
from dfud.uploading.renewable_producer import ProducerFactory
from dfud.uploading.ring import Ring
from dfud.uploading.sender import Sender
from dfud.uploading.topic_doubt import TopicDoubt
from dfud.uploading.wire import WireFormat

Readable = Sequence[Channel[Any, Any]]
Wait = Callable[[Readable, float], Readable]  # for at most so many seconds for one of these to be readable


class ProducerSettings(NamedTuple):
    """What is the same for all producers."""

    topic: str
    properties: Mapping[str, Any]  # of librdkafka
    lingers_by_load: bool  # rather than for the time that the user has set
    wire: WireFormat
    last_ack: LastAck
    topic_id: str = ""  # of the present topic; "" if the broker does not say
    monitored: TopicFacts | None = None  # the topic as it is known, for the one producer that monitors it
    needs: UploadNeeds | None = None  # of the upload; None if nothing is monitored
    clock: ForwardClock | None = None  # of all producers; None for one of its own
    canary_topic: str = ""
    statistics_s: float = 0.0  # between two statistics of librdkafka; 0 for none
    lane: int = 0
    line: SharedLine | None = None  # to the broker, if it is long


def run(
    name: str,
    supervisor_pid: int,
    to_supervisor: Channel[FromProducer, ToProducer],
    to_chunker: Channel[ProducerToChunker, ChunkerToProducer],
    ring: Ring,
    shards: ShardWriter,
    settings: ProducerSettings,
) -> None:
    """Run the producer process until `Stop`."""
    init_worker(name, supervisor_pid)
    tune_malloc()
    factory = partial(quick_producer, topic=settings.topic)
    worker = ProducerWorker(to_supervisor, to_chunker, ring, shards, settings, factory)
    try:
        while worker.run_once():
            pass
    except PeerGoneError:
        return  # the supervisor sees which process has ended, and decides


def wait_readable(channels: Readable, seconds: float) -> Readable:
    """Return which of `channels` have something to receive, after at most `seconds`."""
    poller = select.poll()
    for channel in channels:
        poller.register(channel, select.POLLIN)
    ready = dict(poller.poll(seconds * 1000))
    return [channel for channel in channels if channel.fileno() in ready]


class ProducerWorker:
    """Responsible for the delivery and the completion of the files of one lane.

    There is one loop, and nothing waits outside of it. While librdkafka does not accept what was taken from the
    chunker, nothing more is taken, so that the ring fills and the chunker waits.
    """

    def __init__(
        self,
        to_supervisor: Channel[FromProducer, ToProducer],
        to_chunker: Channel[ProducerToChunker, ChunkerToProducer],
        ring: Ring,
        shards: ShardWriter,
        settings: ProducerSettings,
        producer_factory: ProducerFactory,
        clock: Callable[[], float] = time.monotonic,
        wait: Wait = wait_readable,
    ) -> None:
        self._supervisor = to_supervisor
        self._chunker = to_chunker
        self._clock = clock
        self._wait = wait
        turns = None if settings.line is None else Turns(settings.line, settings.lane)
        self._statistics_s = settings.statistics_s
        if settings.statistics_s:
            n_producers = 1 if turns is None else turns.line.n_producers
            reporter = StatisticsReporter(settings.lane, settings.statistics_s, to_supervisor.send, n_producers)
            producer_factory = partial(reporter.make, producer_factory)
        forward_clock = settings.clock or ForwardClock()
        completed = CompletedWriter(shards, to_supervisor.send, clock, forward_clock.now_ns)
        self._files = FilesInProgress(settings.wire, completed, to_supervisor.send)
        self._outbox = Outbox(
            ring,
            on_space_needed=lambda: to_chunker.post([SpaceFreed()]),
            is_settled=lambda: self._sender.is_settled,
        )
        self._order = None if turns is None else VersionOrder()
        self._linger = Linger(settings.lingers_by_load)
        self._sender = Sender(
            settings.topic,
            settings.properties,
            self._outbox,
            self._files,
            self._linger,
            producer_factory,
            to_supervisor.send,
            clock,
            settings.last_ack,
            forward_clock,
            TopicDoubt(settings.topic, settings.topic_id, settings.properties),
            settings.wire.more_bytes,
            turns,
        )
        self._monitor: TopicMonitor | None = None
        if settings.monitored and settings.needs:
            self._monitor = TopicMonitor(settings.monitored, settings.needs, settings.properties, clock())
        self._findings: tuple[Finding, ...] = ()  # that were reported last
        self._canary_topic = settings.canary_topic
        self._silence = ""  # that was reported last
        self._is_draining = False
        self._is_stopped = False
        self._from_supervisor: Dispatcher[ToProducer] = Dispatcher(
            ToProducer,
            {Drain: self._on_drain, ShardsDisturbed: self._on_shards_disturbed, Stop: self._on_stop},
        )
        self._from_chunker: Dispatcher[ChunkerToProducer] = Dispatcher(
            ChunkerToProducer,
            {
                RunReady: self._on_run,
                FileDropped: self._on_dropped,
                SpaceAbandoned: self._on_abandoned,
                CanaryRead: self._on_canary,
            },
        )

    def run_once(self) -> bool:
        """Wait for something to do and do it; return False once stopped, when everything is written."""
        channels: list[Channel[Any, Any]] = [self._supervisor]
        if not self._sender.has_backlog:
            channels.append(self._chunker)
        ready = self._wait(channels, self._pause_s())
        self._sender.poll(is_idle=not ready)
        if self._supervisor in ready:
            for order in self._supervisor.receive():
                self._from_supervisor(order)
        if self._is_stopped:
            return False
        if self._chunker in ready:
            self._linger.on_input(self._clock())
            for message in self._chunker.receive():
                self._from_chunker(message)
        self._sender.produce()
        now = self._clock()
        self._files.write_due(now, self._is_ending)
        self._sender.check(now)
        self._check_topic(now)
        return True

    def _check_topic(self, now: float) -> None:
        """Report what has changed about the topic."""
        if not self._monitor:
            return
        for change in self._monitor.check(now):
            is_harm = change.level >= logging.ERROR
            harm = TopicHarmed(change.text, bool(change.new_topic_id), change.new_topic_id)
            self._supervisor.send([harm if is_harm else Notice(change.level, change.text)])
        if self._monitor.findings != self._findings:
            self._findings = self._monitor.findings
            texts = tuple((finding.severity is Severity.REFUSAL, finding.text) for finding in self._findings)
            self._supervisor.send([TopicFindings(texts)])
        if self._monitor.silence != self._silence:
            self._silence = self._monitor.silence
            self._supervisor.send([BrokerSilent(self._silence)])

    def _pause_s(self) -> float:
        """Return how long there is nothing to do unless a message arrives."""
        now = self._clock()
        pause_s = self._sender.pause_s(now)
        if self._monitor:
            pause_s = max(0.0, min(pause_s, self._monitor.due_at - now))
        if self._statistics_s:
            pause_s = min(pause_s, self._statistics_s)
        due_at = self._files.due_at(self._is_ending)
        return pause_s if due_at is None else max(0.0, min(pause_s, due_at - now))

    @property
    def _is_ending(self) -> bool:
        """Whether nothing but rows is left to be written."""
        return self._is_draining and not self._files

    # -- messages

    def _on_drain(self, _: Drain) -> None:
        self._is_draining = True
        self._sender.drain()

    def _on_shards_disturbed(self, _: ShardsDisturbed) -> None:
        self._files.check_shard(self._clock())

    def _on_stop(self, _: Stop) -> None:
        self._is_stopped = True
        self._files.write_all(self._clock())
        self._sender.close()

    def _on_run(self, run: RunReady) -> None:
        upload = self._files.find(run.token) if run.file is None else self._files.begin(run.file)
        if upload is None:
            if run.n_chunks:
                self._outbox.add_unused(run.end)
            return
        if run.xxh3_128:
            upload.xxh3_128 = run.xxh3_128
        if run.n_chunks:
            if run.file is not None and self._order and self._order.has_to_wait(run.file.version.path):
                self._outbox.add_wait()
            self._outbox.add_run(upload, run)
        elif upload.is_complete:  # only its digest was missing
            self._files.complete(upload)

    def _on_canary(self, canary: CanaryRead) -> None:
        def report(reason: str) -> None:
            named = f"topic {self._canary_topic}: {reason}" if reason else ""
            self._supervisor.send([CanaryDelivered(canary.number, canary.lane, named)])

        self._sender.send_apart(self._canary_topic, canary.data, report)

    def _on_abandoned(self, space: SpaceAbandoned) -> None:
        self._outbox.add_unused(space.end)

    def _on_dropped(self, dropped: FileDropped) -> None:
        self._files.drop(dropped.token)
