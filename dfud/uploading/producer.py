"""The producer process: hands the chunks of its lane to librdkafka, and records what the broker acknowledges."""

from __future__ import annotations

import logging
import select
import time
from collections import deque
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

from confluent_kafka import KafkaError, KafkaException, Producer

from dfud.core.ranges import RangeSet
from dfud.kafka.properties import message_timeout
from dfud.kafka.topic import topic_trouble
from dfud.logs.completed.shards import ShardWriter
from dfud.messages import (
    BrokerOutage,
    ChunkerToProducer,
    ChunksAcked,
    DeliveryGivenUp,
    Drain,
    FileDropped,
    FileStart,
    FileUndelivered,
    FromProducer,
    Notice,
    ProducerToChunker,
    RunReady,
    SpaceAbandoned,
    SpaceFreed,
    Stop,
    ToProducer,
)
from dfud.processes.channel import Channel, PeerGoneError
from dfud.processes.worker import init_worker, tune_malloc
from dfud.uploading.completed_writer import CompletedWriter
from dfud.uploading.delivery import FailureAction, classify, explain, plain
from dfud.uploading.linger import Linger
from dfud.uploading.outage import OutageDetector
from dfud.uploading.renewable_producer import ProducerFactory, RenewableProducer
from dfud.uploading.ring import Ring
from dfud.uploading.upload import Upload
from dfud.uploading.wire import KafkaMessageParts, UnsendableFileError, WireFormat

_REPORT_INTERVAL_S = 0.5  # s between reports of progress
_MIN_POLL_S, _MAX_POLL_S = 0.004, 0.1  # s between looks at librdkafka's reports while some are due
_IDLE_POLL_S = 60.0  # s; only to take librdkafka's own events off its queue
# A broker that tells no offsets at all is believed without them after so many acknowledgements.
_TRUSTED_AFTER = 1000
_FIRST_RETRY_S, _MAX_RETRY_S = 0.25, 5.0  # s before a message is sent again


class ProducerSettings(NamedTuple):
    """What is the same for all producers."""

    topic: str
    properties: Mapping[str, Any]  # of librdkafka
    lingers_by_load: bool  # or by the time that the user has set
    wire: WireFormat


def run(
    name: str,
    supervisor_pid: int,
    to_supervisor: Channel[FromProducer, ToProducer],
    to_chunker: Channel[ProducerToChunker, ChunkerToProducer],
    ring: Ring,
    shards: ShardWriter,
    settings: ProducerSettings,
) -> None:
    """Be the producer process until told to leave."""
    init_worker(name, supervisor_pid)
    tune_malloc()
    lane = ProducerWorker(
        to_supervisor, to_chunker, ring, shards, settings, lambda properties: Producer(properties)
    )
    try:
        while lane.run_once():
            pass
    except PeerGoneError:
        return  # the supervisor sees which of us ended, and decides


class ProducerWorker:
    """Responsible for the acknowledgements, the completion and the rows of the files of one lane."""

    def __init__(
        self,
        to_supervisor: Channel[FromProducer, ToProducer],
        to_chunker: Channel[ProducerToChunker, ChunkerToProducer],
        ring: Ring,
        shards: ShardWriter,
        settings: ProducerSettings,
        producer_factory: ProducerFactory,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._supervisor = to_supervisor
        self._chunker = to_chunker
        self._ring = ring
        self._topic = settings.topic
        self._wire = settings.wire
        self._clock = clock
        self._properties = settings.properties
        self._timeout = message_timeout(settings.properties)
        self._client = RenewableProducer(producer_factory, settings.properties, self._on_error, self._note, clock)
        self._uploads: dict[int, Upload] = {}
        self._retries: deque[tuple[Upload, int, bytes]] = deque()
        self._retry_at = 0.0
        self._retry_pause = _FIRST_RETRY_S
        self._sending_again = False
        self._closing = False
        self._given_up = False
        self._leaving = False
        self._linger = Linger(settings.lingers_by_load)
        self._away = False
        self._silence = OutageDetector()
        self._last_ack = clock()
        self._tells_offsets = False  # the broker, with what it acknowledges
        self._without_offset = 0  # acknowledgements, before the first one with an offset
        self._unreported: list[Upload] = []  # some of them complete since
        self._report_at = 0.0
        self._records = CompletedWriter(shards, to_supervisor.send, clock)
        self._poll_after = _MIN_POLL_S
        self._poller = select.poll()
        self._poller.register(to_supervisor, select.POLLIN)
        self._poller.register(to_chunker, select.POLLIN)

    def run_once(self) -> bool:
        """Wait for something to do and do it; False when told to leave and all is written."""
        self._wait(self._pause(), self._chunker.fileno())
        return not self._leaving

    # -- waiting

    def _wait(self, seconds: float, chunker: int = -1) -> None:
        """Serve the supervisor, librdkafka and the clock; and the chunker's descriptor `chunker`, if given."""
        if chunker >= 0 and not self._retries:
            ready = self._poller.poll(seconds * 1000)
        else:  # nothing new is taken while older messages wait to be sent again
            readable, _, _ = select.select([self._supervisor], [], [], seconds)
            ready = [(self._supervisor.fileno(), select.POLLIN)] if readable else []
        acked = self._last_ack
        if not ready and self._linger.cut():
            self._client.flush()
        else:
            self._client.poll()
        self._poll_after = (
            _MIN_POLL_S if ready or acked != self._last_ack else min(2 * self._poll_after, _MAX_POLL_S)
        )
        for descriptor, _ in ready:
            if descriptor == chunker:
                self._linger.has_come(self._clock())
                for message in self._chunker.receive():
                    self._from_chunker(message)
            else:
                for order in self._supervisor.receive():
                    self._from_supervisor(order)
        self._send_again()
        self._keep_tables()
        self._tell_silence()

    def _pause(self) -> float:
        """Return the seconds until there is something to do without anybody's asking."""
        now = self._clock()
        due = [_IDLE_POLL_S]
        if len(self._client):
            due.append(self._poll_after)
        if self._linger.left is not None:
            due.append(self._linger.left)
        if self._retries:
            due.append(self._retry_at - now)
        if self._unreported:
            due.append(self._report_at - now)
        rows_due = self._records.due(self._is_ending)
        if rows_due is not None:
            due.append(rows_due - now)
        return max(0.0, min(due))

    def _from_supervisor(self, message: ToProducer) -> None:
        if isinstance(message, Drain):
            self._closing = True
        elif isinstance(message, Stop):
            self._leaving = True
            self._keep_tables(at_once=True)
            if len(self._client):  # what is left has been told as undelivered
                self._client.producer.purge()

    # -- the chunker's side

    def _from_chunker(self, message: ChunkerToProducer) -> None:
        if isinstance(message, RunReady):
            if message.file is not None:
                self._begin(message.file)
            upload = self._uploads.get(message.token)
            if upload is not None:
                self._send_run(upload, message)
            if message.n_chunks:
                self._free(message.end)
        elif isinstance(message, FileDropped):
            dropped = self._uploads.pop(message.token, None)
            if dropped is not None:
                dropped.failure = "it is no whole version"  # what waits to be sent again need not be
        elif isinstance(message, SpaceAbandoned):
            self._free(message.end)

    def _free(self, end: int) -> None:
        if self._ring.free(end):
            self._chunker.post([SpaceFreed()])

    def _begin(self, start: FileStart) -> None:
        known = self._uploads.get(start.token)
        if known is not None:  # its chunker died, and another began again: what was handed on still counts
            known.acked.update(start.delivered)
            return
        try:
            messages = self._wire.messages(start)
        except UnsendableFileError as problem:
            self._supervisor.send([FileUndelivered(start.token, str(problem))])
        else:
            self._uploads[start.token] = Upload(start, messages)

    def _send_run(self, upload: Upload, run: RunReady) -> None:
        if run.xxh3_128:
            upload.xxh3_128 = run.xxh3_128
        chunk_size = upload.start.chunk_size
        end = run.start + run.length
        for at in range(run.n_chunks):
            if upload.failure:
                return
            start = run.start + at * chunk_size
            data = self._ring.copy(start, min(chunk_size, end - start))
            message = upload.message(run.first + at, data, run.xxh3_64[16 * at : 16 * at + 16])
            self._send(upload, run.first + at, message)
        if upload.is_complete:  # nothing was missing but the digest of the whole
            self._complete(upload)

    # -- librdkafka's side

    def _send(self, upload: Upload, number: int, message: KafkaMessageParts) -> None:
        """Hand one message to librdkafka, waiting while its queue is full."""
        value, key, headers = message
        client = self._client
        while not upload.failure and not self._leaving:
            if client.is_spent:
                client.renew()
            try:
                client.producer.produce(
                    self._topic,
                    value,
                    key,
                    on_delivery=partial(self._reported, upload, number),
                    headers=headers,
                )
                self._linger.has_sent()
                return
            except BufferError:
                if self._linger.cut():
                    client.flush()
                self._wait(self._poll_after)
            except KafkaException as problem:
                error = problem.args[0]
                verdict = classify(error)
                if verdict is FailureAction.SMALLER:  # librdkafka itself finds it too large
                    verdict = FailureAction.REFUSED
                if client.may_be_stale(error):
                    client.knows_too_little()
                    continue
                if self._is_final(verdict):
                    self._fail(upload, (client.why or error) if verdict is FailureAction.RENEW else error)
                else:
                    failed = client.producer
                    self._wait(self._retry_pause if client.is_failing else _FIRST_RETRY_S)
                    if verdict is FailureAction.RENEW and client.producer is failed:  # else it is replaced already
                        client.has_failed(error)

    def _reported(self, upload: Upload, number: int, error: KafkaError | None, message: Any) -> None:
        """Take the delivery report of one message; called by librdkafka from within `poll`."""
        if error is not None:
            self._not_delivered(upload, number, error, message)
            return
        self._last_ack = self._clock()
        self._client.has_acked()
        if self._away:
            self._away = False
            self._silence.is_over(self._last_ack)
            self._supervisor.send([BrokerOutage("")])
        if not self._is_proven(message):
            if not upload.failure and not self._leaving:
                self._send_later(upload, number, message)
            return
        upload.acked.add(number)
        if upload.is_complete:
            self._complete(upload)
            return
        if upload.unreported is None:
            if not self._unreported:
                self._report_at = self._last_ack + _REPORT_INTERVAL_S
            upload.unreported = RangeSet([(number, number)])
            self._unreported.append(upload)
        else:
            upload.unreported.add(number)

    def _is_proven(self, message: Any) -> bool:
        """Tell whether the broker itself has acknowledged a message.

        librdkafka concludes from the acknowledgement of a later batch that an earlier one, which failed, has been
        written, too. It has not where the topic was made (again) between the two; such a message has no offset.
        """
        if message.offset() is not None:
            self._tells_offsets = True
            return True
        self._without_offset += 1
        return not self._tells_offsets and self._without_offset > _TRUSTED_AFTER

    def _not_delivered(self, upload: Upload, number: int, error: KafkaError, message: Any) -> None:
        client, verdict = self._client, classify(error)
        if upload.failure or self._leaving:
            return
        if verdict is FailureAction.SMALLER:
            verdict = client.batch_was_too_large(len(message.value() or b"") + len(message.key() or b""))
        elif verdict is FailureAction.RENEW and client.refusal:
            verdict, error = FailureAction.REFUSED, client.refusal
        if self._is_final(verdict):
            self._fail(upload, (client.why or error) if verdict is FailureAction.RENEW else error)
            if verdict is FailureAction.REFUSED:
                return
            if not self._given_up and self._clock() - self._last_ack >= 0.9 * self._timeout:
                self._given_up = True
                self._supervisor.send([DeliveryGivenUp(explain(error))])
        else:
            if verdict is FailureAction.RENEW:
                client.has_failed(error)
            self._send_later(upload, number, message)

    def _send_later(self, upload: Upload, number: int, message: Any) -> None:
        """Have a message sent again after a pause."""
        if not self._retries:
            self._retry_at = self._clock() + (0 if self._client.works_next else self._retry_pause)
            self._retry_pause = min(2 * self._retry_pause, _MAX_RETRY_S)
        self._retries.append((upload, number, message.value() or b""))

    def _is_final(self, verdict: FailureAction) -> bool:
        """Tell whether a message is not sent again: for good, or because all is to end."""
        if verdict is FailureAction.RENEW:
            return self._closing and self._client.is_hopeless
        return verdict is FailureAction.REFUSED or self._closing

    def _send_again(self) -> None:
        """Send again what was not delivered, when its time has come."""
        if self._sending_again:  # waiting for room in librdkafka's queue has led back here
            return
        if self._clock() < self._retry_at:
            return
        if self._client.is_spent:
            self._client.renew()
        if not self._retries or self._clock() < self._retry_at:
            return
        self._sending_again = True
        acked = self._last_ack
        for _ in range(len(self._retries)):
            upload, number, value = self._retries.popleft()
            self._send(upload, number, upload.again(number, value))
        if self._last_ack != acked:
            self._retry_pause = _FIRST_RETRY_S
        self._sending_again = False

    def _on_error(self, error: KafkaError) -> None:
        if error.code() == KafkaError._ALL_BROKERS_DOWN:
            self._silence.is_down(error.str(), self._clock())
        elif error.code() in (KafkaError._AUTHENTICATION, KafkaError._SSL):
            self._silence.is_down(f"it refuses the connection: {plain(error)}", self._clock(), is_cause=True)
        else:
            if error.code() == KafkaError._TRANSPORT:
                self._silence.is_disturbed(self._clock())
            self._note(logging.DEBUG, f"librdkafka: {error.str()}")

    def _tell_silence(self) -> None:
        """Say once that nothing is acknowledged any more, and why if that can be found out."""
        is_waiting = bool(self._retries) or len(self._client) > 0
        why = self._silence.why(self._clock(), self._last_ack, is_waiting)
        if not why or (self._away and not self._silence.has_new_cause):
            return
        if not self._silence.down:
            trouble = topic_trouble(self._topic, self._properties)
            why = f"{why}: {trouble}" if trouble else why
        self._away = True
        self._supervisor.send([BrokerOutage(why, self._silence.has_new_cause)])
        self._silence.has_new_cause = False

    # -- what is told and recorded

    def _complete(self, upload: Upload) -> None:
        token = upload.start.token
        if self._uploads.get(token) is not upload:
            return  # dropped; or complete already, where a second chunker has handed the file on once more
        del self._uploads[token]
        upload.unreported = None
        self._records.add(upload)

    def _fail(self, upload: Upload, error: KafkaError) -> None:
        upload.failure = explain(error)
        self._report_progress()
        self._uploads.pop(upload.start.token, None)
        self._supervisor.send([FileUndelivered(upload.start.token, upload.failure)])

    def _keep_tables(self, at_once: bool = False) -> None:
        now = self._clock()
        if self._unreported and (at_once or now >= self._report_at):
            self._report_progress()
        self._records.keep(now, self._is_ending, at_once)

    @property
    def _is_ending(self) -> bool:
        """Whether nothing but rows is left to be done."""
        return self._closing and not self._uploads

    def _report_progress(self) -> None:
        reports = [
            ChunksAcked(upload.start.token, upload.unreported.ranges())
            for upload in self._unreported
            if upload.unreported
        ]
        for upload in self._unreported:
            upload.unreported = None
        self._unreported.clear()
        self._supervisor.send(reports)

    def _note(self, level: int, text: str) -> None:
        self._supervisor.send([Notice(level, text)])
