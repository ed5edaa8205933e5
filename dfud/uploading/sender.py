"""Sending the messages of a lane: librdkafka's queue, delivery reports, retries."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from confluent_kafka import KafkaError, KafkaException

from dfud.kafka.properties import message_timeout
from dfud.kafka.topic import topic_trouble
from dfud.messages import DeliveryGivenUp, FromProducer, Notice
from dfud.uploading.delivery import FailureAction, classify, explain
from dfud.uploading.files_in_progress import FilesInProgress
from dfud.uploading.linger import Linger
from dfud.uploading.offset_proof import OffsetProof
from dfud.uploading.outage import OutageReporter
from dfud.uploading.outbox import Outbox
from dfud.uploading.renewable_producer import ProducerFactory, RenewableProducer
from dfud.uploading.retry_queue import FIRST_RETRY_S, Retry, RetryQueue
from dfud.uploading.upload import Upload

_MIN_POLL_S, _MAX_POLL_S = 0.004, 0.1  # s between polls of librdkafka while delivery reports are due
_IDLE_POLL_S = 60.0  # s; only to take librdkafka's own events off its queue
_GIVE_UP_FACTOR = 0.9  # of message.timeout.ms without any acknowledgement


class Sender:
    """Responsible for each message until it is acknowledged, or its file has failed.

    No method waits for room in librdkafka's queue: what it does not accept stays in the outbox until the next
    `produce`. Delivery reports arrive while librdkafka is polled, flushed or renewed.
    """

    def __init__(
        self,
        topic: str,
        properties: Mapping[str, Any],
        outbox: Outbox,
        files: FilesInProgress,
        linger: Linger,
        producer_factory: ProducerFactory,
        send: Callable[[Sequence[FromProducer]], None],
        clock: Callable[[], float],
    ) -> None:
        """`send` sends messages to the supervisor."""
        self._topic = topic
        self._outbox = outbox
        self._files = files
        self._linger = linger
        self._send = send
        self._clock = clock
        self._message_timeout_s = message_timeout(properties)
        self._client = RenewableProducer(producer_factory, properties, self._on_client_error, self._log, clock)
        self._retries = RetryQueue()
        self._blocked_until = 0.0  # s, monotonic; after an error of librdkafka's `produce`, else 0
        self._poll_after_s = _MIN_POLL_S
        self._offset_proof = OffsetProof()
        self._last_ack = clock()
        self._outages = OutageReporter(send, lambda: topic_trouble(topic, properties))
        self._is_draining = False
        self._is_closed = False
        self._has_given_up = False

    @property
    def has_backlog(self) -> bool:
        """Whether messages wait outside of librdkafka: nothing new should be added before they are sent."""
        return bool(self._outbox or self._retries)

    def pause_s(self, now: float) -> float:
        """Return after how many seconds, at the latest, `poll` and `produce` have something to do."""
        pauses = [_IDLE_POLL_S]
        was_full = bool(self._outbox) and not self._blocked_until  # its queue may be empty again by now
        if len(self._client) or was_full:
            pauses.append(self._poll_after_s)
        if self._linger.pause_s is not None:
            pauses.append(self._linger.pause_s)
        if self._blocked_until:
            pauses.append(self._blocked_until - now)
        elif self._retries:
            pauses.append(self._retries.due_at - now)
        return max(0.0, min(pauses))

    def drain(self) -> None:
        """From now on let a message fail that librdkafka gives up on, instead of sending it again."""
        self._is_draining = True

    def close(self) -> None:
        """Discard what librdkafka still holds."""
        self._is_closed = True
        if len(self._client):
            self._client.producer.purge()

    # -- to librdkafka

    def produce(self) -> None:
        """Give librdkafka what is to be sent, retries first, until its queue is full."""
        if self._is_blocked():
            return
        self._blocked_until = 0.0
        client, outbox = self._client, self._outbox
        if client.is_spent and (outbox or self._retries.is_due(self._clock())):
            client.renew()  # which makes what it held retries
        if self._retries:
            outbox.add_retries(self._retries.take_due(self._clock()))
        topic, take, on_report, on_produced = self._topic, outbox.take, self._on_report, self._linger.on_produced
        while (outgoing := take()) is not None:
            upload, number, (value, key, headers) = outgoing
            try:
                client.producer.produce(
                    topic, value, key, on_delivery=partial(on_report, upload, number), headers=headers
                )
            except BufferError:
                outbox.put_back(outgoing)
                if self._linger.cut():
                    client.flush()
                return
            except KafkaException as raised:
                outbox.put_back(outgoing)
                self._on_produce_error(upload, raised.args[0])
                if self._is_blocked():
                    return
            else:
                on_produced()

    def _is_blocked(self) -> bool:
        return self._clock() < self._blocked_until

    def _on_produce_error(self, upload: Upload, error: KafkaError) -> None:
        client, action = self._client, classify(error)
        if action is FailureAction.SMALLER:  # librdkafka itself finds the message too large
            action = FailureAction.REFUSED
        if client.may_be_stale(error):
            client.renew(quietly=True)
        elif self._is_final(action):
            self._fail(upload, action, error)
        else:
            self._blocked_until = self._clock() + (self._retries.pause_s if client.is_failing else FIRST_RETRY_S)
            if action is FailureAction.RENEW:
                client.on_failure(error)

    # -- from librdkafka

    def poll(self, is_idle: bool) -> None:
        """Serve librdkafka's callbacks; if `is_idle`, make it send what it keeps back."""
        last_ack = self._last_ack
        if is_idle and self._linger.cut():
            self._client.flush()
        else:
            self._client.poll()
        is_quiet = is_idle and last_ack == self._last_ack
        self._poll_after_s = min(2 * self._poll_after_s, _MAX_POLL_S) if is_quiet else _MIN_POLL_S

    def check_outage(self, now: float) -> None:
        """Report an outage if nothing has been acknowledged for too long."""
        self._outages.check(now, self._last_ack, is_waiting=self.has_backlog or len(self._client) > 0)

    def _on_report(self, upload: Upload, number: int, error: KafkaError | None, message: Any) -> None:
        """Take the delivery report of one message."""
        if error is not None:
            self._on_undelivered(upload, number, error, message)
            return
        now = self._last_ack = self._clock()
        self._client.on_acked()
        if self._outages.is_reported:
            self._outages.on_resumed(now)
        if not self._offset_proof.check(message.offset()):
            if not upload.failure and not self._is_closed:
                self._retry(upload, number, message)
            return
        self._files.on_acked(upload, number, now)

    def _on_undelivered(self, upload: Upload, number: int, error: KafkaError, message: Any) -> None:
        if upload.failure or self._is_closed:
            return
        client, action = self._client, classify(error)
        if action is FailureAction.SMALLER:
            action = client.on_batch_too_large(len(message.value() or b"") + len(message.key() or b""))
        elif action is FailureAction.RENEW and client.refusal:
            action, error = FailureAction.REFUSED, client.refusal
        if self._is_final(action):
            self._fail(upload, action, error)
            if action is not FailureAction.REFUSED:
                self._give_up_if_silent(error)
            return
        if action is FailureAction.RENEW:
            client.on_failure(error)
        self._retry(upload, number, message)

    def _retry(self, upload: Upload, number: int, message: Any) -> None:
        retry = Retry(upload, number, message.value() or b"")
        self._retries.add(retry, self._clock(), self._last_ack, at_once=self._client.is_next_promising)

    def _is_final(self, action: FailureAction) -> bool:
        """Return whether a message is not sent again: it is refused, or the run is about to end."""
        if action is FailureAction.RENEW:
            return self._is_draining and self._client.is_hopeless
        return action is FailureAction.REFUSED or self._is_draining

    def _give_up_if_silent(self, error: KafkaError) -> None:
        is_silent = self._clock() - self._last_ack >= _GIVE_UP_FACTOR * self._message_timeout_s
        if is_silent and not self._has_given_up:
            self._has_given_up = True
            self._send([DeliveryGivenUp(explain(error))])

    def _on_client_error(self, error: KafkaError) -> None:
        self._outages.on_error(error, self._clock())

    def _log(self, level: int, text: str) -> None:
        self._send([Notice(level, text)])

    def _fail(self, upload: Upload, action: FailureAction, error: KafkaError) -> None:
        cause = self._client.failure if action is FailureAction.RENEW else None
        self._files.fail(upload, explain(cause or error))
