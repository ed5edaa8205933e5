"""Sending the messages of a lane: librdkafka's queue and its delivery reports."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from confluent_kafka import KafkaError, KafkaException

from dfud.kafka.properties import message_timeout
from dfud.logs.times import ForwardClock
from dfud.messages import FromProducer, Notice
from dfud.uploading.checkup import Checkup
from dfud.uploading.delivery import explain
from dfud.uploading.delivery_failures import DeliveryFailures
from dfud.uploading.drain_deadline import DrainDeadline
from dfud.uploading.files_in_progress import FilesInProgress
from dfud.uploading.last_ack import LastAck
from dfud.uploading.linger import Linger
from dfud.uploading.long_line import Turns
from dfud.uploading.offset_proof import OffsetProof, OffsetProofs
from dfud.uploading.outage import OutageReporter
from dfud.uploading.outbox import Outbox, Outgoing
from dfud.uploading.renewable_producer import ProducerFactory, RenewableProducer
from dfud.uploading.retry_queue import RetryQueue
from dfud.uploading.send_window import SendWindow, resend_timeout
from dfud.uploading.timestamps import Timestamps
from dfud.uploading.topic_doubt import ASK_INTERVAL_S, TopicDoubt
from dfud.uploading.upload import Upload

_ANY_PARTITION = -1  # the one that librdkafka's partitioner chooses
_MIN_POLL_S, _MAX_POLL_S = 0.004, 0.1  # s between polls of librdkafka while delivery reports are due
_MAX_TURN_POLL_S = 0.008  # where a producer waits for its turn until the one before is acknowledged
_IDLE_POLL_S = 60.0  # s; only to take librdkafka's own events off its queue


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
        all_acks: LastAck,
        forward_clock: ForwardClock | None = None,
        doubt: TopicDoubt | None = None,
        more_bytes: int = 0,
        turns: Turns | None = None,
    ) -> None:
        """`send` sends messages to the supervisor; `all_acks` is what all lanes share.

        Over a long line, several producers take `turns`.
        `forward_clock` is that of the messages' timestamps; `doubt` is asked if acknowledgements contradict.
        Each message has `more_bytes` of headers besides those of dfud.
        """
        self._topic = topic
        self._outbox = outbox
        self._files = files
        self._linger = linger
        self._send = send
        self._clock = clock
        self._timestamps = Timestamps(forward_clock or ForwardClock())
        self._client = RenewableProducer(
            producer_factory,
            properties if turns is None else {**properties, **turns.line.properties},
            self._on_client_error,
            self._on_throttled,
            self._log,
            self._pass_on_acks,
            clock,
            1 if turns is None else turns.line.n_first,
        )
        self._turns = turns
        self._max_poll_s = _MAX_POLL_S if turns is None else _MAX_TURN_POLL_S
        self._retries = RetryQueue()
        self._blocked_until = 0.0  # s, monotonic; after an error of librdkafka's `produce`, else 0
        self._poll_after_s = _MIN_POLL_S
        self._offset_proofs = OffsetProofs(1 if turns is None else turns.line.n_producers)
        self._doubt = doubt or TopicDoubt(topic, "", properties)
        self._window = SendWindow(resend_timeout(properties))
        self._last_ack = clock()
        self._last_acked: Any = None  # message, since librdkafka was polled
        self._acks: list[list[Any]] = []  # that are not passed on: upload, first and last chunk
        self._all_acks = all_acks
        self._deadline = DrainDeadline(message_timeout(properties), all_acks)
        checkup = Checkup(topic, properties, self._client, self._window, more_bytes)
        self._failures = DeliveryFailures(
            properties, self._client, files, self._retries, self._deadline, checkup, send
        )
        self._outages = OutageReporter(send, checkup.find_trouble)
        self._is_closed = False

    @property
    def is_settled(self) -> bool:
        """Whether everything that was taken from the outbox is acknowledged, or has failed."""
        return not (len(self._client) or self._retries)

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
        if self._offset_proofs.is_in_doubt:
            pauses.append(ASK_INTERVAL_S)
        return max(0.0, min(pauses))

    def drain(self) -> None:
        """From now on give up if nothing is acknowledged, instead of sending everything again and again."""
        self._deadline.drain()

    def close(self) -> None:
        """Discard what librdkafka still holds."""
        self._is_closed = True
        if len(self._client):
            self._client.purge()

    # -- to librdkafka

    def produce(self) -> None:
        """Give librdkafka what is to be sent, retries first, until its queue is full."""
        if self._is_blocked() or self._is_closed:
            return
        self._blocked_until = 0.0
        self._take_retries()
        timestamps, failures = self._timestamps, self._failures
        late = timestamps.late()
        topic, take, on_produced = self._topic, self._outbox.take, self._linger.on_produced
        window, longest = self._window, failures.max_chunk
        turns = self._turns
        produce, on_report = self._at_turn()
        while (outgoing := take()) is not None:
            upload, number, (value, key, headers) = outgoing
            if len(value) > longest:
                failures.on_untried(upload, len(value))
                continue
            if not window.admit(len(value)):
                self._wait_for_room(outgoing)
                return
            if turns is not None:
                if not self._take_turn(turns, len(value)):
                    window.remove(len(value))
                    self._outbox.put_back(outgoing)
                    return
                produce, on_report = self._at_turn()
            try:
                # By position: to look for the names of arguments takes a quarter of the time.
                produce(topic, value, key, _ANY_PARTITION, partial(on_report, upload, number), None, late, headers)
            except (BufferError, KafkaException) as raised:
                window.remove(len(value))
                if not self._has_more(outgoing, raised):
                    return
                produce, on_report = self._at_turn()  # it may be another producer now
            else:
                on_produced()
                if late:
                    timestamps.n_late += 1

    def _has_more(self, outgoing: Outgoing, raised: BufferError | KafkaException) -> bool:
        """Take what librdkafka says of a message that it does not accept; return whether to send on now."""
        upload, _, (value, _, _) = outgoing
        if isinstance(raised, BufferError):
            if len(self._client):
                self._wait_for_room(outgoing)
                return False
            self._failures.on_queue_too_small(upload, len(value))
            return True
        self._outbox.put_back(outgoing)
        now = self._clock()
        pause_s = self._failures.on_not_accepted(upload, raised.args[0], now)
        if pause_s:
            self._blocked_until = now + pause_s
        return not pause_s

    def _take_turn(self, turns: Turns, length: int) -> bool:
        """Return whether a producer may be given a message.

        If not, the window is too small, or one more producer is made: over a slow line it would be in the way.
        """
        if turns.take(self._client.producers, length, self._window.limit):
            return True
        if turns.is_dealt(self._window.limit):
            self._window.on_full()
        elif len(self._client.producers) < turns.line.n_producers:
            self._client.add()
        return False

    def _at_turn(self) -> tuple[Callable[..., None], Callable[..., None]]:
        """Return how to send by the producer whose turn it is, and what takes its reports."""
        number = 0 if self._turns is None else self._turns.number
        return self._client.producers[number].produce, partial(
            self._on_report, self._offset_proofs.of_producer[number]
        )

    def send_apart(self, topic: str, value: bytes, report: Callable[[str], None]) -> None:
        """Send a message that is no chunk, before all that waits; `report` gets why it failed, or ""."""

        def on_delivery(error: KafkaError | None, message: Any) -> None:
            if error is None:
                self._last_acked = message
                self._note_ack()
            report("" if error is None else explain(error))

        if self._is_closed:
            return
        try:
            self._client.producers[0].produce(topic, value, on_delivery=on_delivery)
        except BufferError:
            report("librdkafka's queue is full")
        except KafkaException as raised:
            report(explain(raised.args[0]))

    def _take_retries(self) -> None:
        """Put the messages that are to be sent again into the outbox; replace a producer that has failed first."""
        client, outbox = self._client, self._outbox
        if client.is_spent and (outbox or self._retries.is_due(self._clock())):
            client.renew()  # which makes what it held retries
        if self._retries:
            outbox.add_retries(self._retries.take_due(self._clock()))

    def _wait_for_room(self, outgoing: Outgoing) -> None:
        """Keep a message that librdkafka cannot take before it has sent some of what it has."""
        self._outbox.put_back(outgoing)
        if self._linger.cut():
            self._flush()

    def _flush(self) -> None:
        """Make librdkafka send what it keeps back."""
        self._client.flush((0,) if self._turns is None else self._turns.pop_held())

    def _is_blocked(self) -> bool:
        return self._clock() < self._blocked_until

    # -- from librdkafka

    def poll(self, is_idle: bool) -> None:
        """Serve librdkafka's callbacks; if `is_idle`, make it send what it keeps back."""
        if is_idle and self._turns is not None:
            self._turns.end()
        if is_idle and self._linger.cut():
            self._flush()
        else:
            self._client.poll()
        acked, self._last_acked = self._last_acked, None
        if acked is not None:
            now, latency_s = self._last_ack, acked.latency() or 0.0
            self._failures.on_acked()
            self._all_acks.advance(now)
            self._window.on_acked(latency_s, now)
            self._outages.on_acked(latency_s, now)
        is_quiet = is_idle and acked is None
        self._poll_after_s = min(2 * self._poll_after_s, self._max_poll_s) if is_quiet else _MIN_POLL_S

    def check(self, now: float) -> None:
        """Report an outage, or give up, if nothing has been acknowledged for too long."""
        is_waiting = self.has_backlog or len(self._client) > 0
        if self._turns is not None:
            self._turns.on_waiting(is_waiting)
        if self._offset_proofs.is_in_doubt:
            self._settle_doubt()
        self._window.check(now)
        self._failures.check(is_waiting, now)
        self._outages.check(now, self._last_ack, is_waiting)

    def _settle_doubt(self) -> None:
        """Find out whether it is still the same topic; if not, do nothing more until the supervisor ends this."""
        harm = None if self._is_closed else self._doubt.settle(self._offset_proofs)
        if harm is not None:
            self._send([harm])
            self.close()

    def _on_report(
        self, proof: OffsetProof, upload: Upload, number: int, error: KafkaError | None, message: Any
    ) -> None:
        """Take the delivery report of one message."""
        self._window.remove(len(message))
        if error is not None:
            self._pass_on_acks()
            self._on_undelivered(upload, number, error, message)
            return
        self._last_acked = message
        if not proof.check(message.partition(), message.offset()):
            self._on_unproven(upload, number, message)
            return
        acks = self._acks
        if acks and acks[-1][0] is upload and acks[-1][2] == number - 1:
            acks[-1][2] = number
        else:
            acks.append([upload, number, number])

    def _pass_on_acks(self) -> None:
        """Pass on what was acknowledged, as much of a file at once as came one after another."""
        if not self._acks:
            return
        acks, self._acks = self._acks, []
        now = self._note_ack()
        on_acked = self._files.on_acked
        for upload, first, last in acks:
            on_acked(upload, first, last, now)

    def _note_ack(self) -> float:
        """Note that the broker acknowledges; return the time (s, monotonic)."""
        self._client.on_acked()
        self._last_ack = self._clock()
        return self._last_ack

    def _on_unproven(self, upload: Upload, number: int, message: Any) -> None:
        """Send a message again whose acknowledgement does not count."""
        self._pass_on_acks()
        now = self._note_ack()
        if not upload.failure and not self._is_closed:
            self._failures.retry(upload, number, message, now, now)

    def _on_undelivered(self, upload: Upload, number: int, error: KafkaError, message: Any) -> None:
        if upload.failure or self._is_closed:
            return
        now = self._clock()
        if self._timestamps.on_undelivered(error):
            self._failures.retry(upload, number, message, now, self._last_ack)
            return
        if error.code() == KafkaError._MSG_TIMED_OUT:
            self._window.on_timed_out(message.latency() or 0.0, now)
        self._failures.on_undelivered(upload, number, error, message, now, self._last_ack)

    def _on_client_error(self, error: KafkaError) -> None:
        self._outages.on_error(error, self._clock())

    def _on_throttled(self, seconds: float) -> None:
        now = self._clock()
        self._all_acks.advance(now + seconds)  # until then it says nothing by its own word
        self._outages.on_throttled(seconds, now)

    def _log(self, level: int, text: str) -> None:
        self._send([Notice(level, text)])
