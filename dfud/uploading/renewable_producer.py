"""The Kafka producer of a lane, and the next one in its place when it has failed for good."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Producer

from dfud.kafka.logger import silent_logger
from dfud.kafka.properties import batch_limit
from dfud.uploading.delivery import FailureAction, classify, explain

ProducerFactory = Callable[[dict[str, Any]], Producer]

_FLUSH_S = 0.001  # s for librdkafka's threads to hear of it
_MAX_FUTILE_RENEWALS = 8  # while all is to end; with the pauses between them, some 20 s
_STALE_AFTER_S = 1.0  # s; a refusal out of librdkafka's memory is not believed if that may be older


class RenewableProducer:
    """Responsible for there being a producer that works, and for taking each failure of one producer once."""

    def __init__(
        self,
        factory: ProducerFactory,
        properties: Mapping[str, Any],
        on_error: Callable[[KafkaError], None],
        note: Callable[[int, str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`on_error` is told of errors that are not the end of a producer, `note` of what belongs in the log."""
        self._factory = factory
        self._properties = {**properties, "error_cb": self._take_error, "logger": silent_logger()}
        self._tell_error = on_error
        self._note = note
        self._clock = clock
        self.producer = factory(self._properties)
        self._made_at = clock()
        self.is_spent = False  # it is of no use any more, and to be replaced
        self.why: KafkaError | None = None  # it is
        self._quietly = False  # what is amiss is told of each file that it fails
        self.refusal: KafkaError | None = None  # what the producer failed for, if the broker refuses all it has
        self._in_vain = 0  # renewals without any acknowledgement since
        self._smaller_batches = 0  # bytes, of the producer that is to be made next; 0 for as they are
        self._batches_are_smaller = False  # than at the start

    def __len__(self) -> int:
        """Count the messages that the producer still holds."""
        return len(self.producer)

    def poll(self, seconds: float = 0.0) -> None:
        """Have librdkafka call us with what it has to tell, waiting for it for so long at the most."""
        self._serve(self.producer.poll, seconds)

    def flush(self) -> None:
        """Have librdkafka send what it keeps back for fuller batches, and hear it.

        While its flush lasts, ``linger.ms`` does not count; should its threads be too slow to see that, it does.
        """
        self._serve(self.producer.flush, _FLUSH_S)

    def _serve(self, call: Callable[[float], int], seconds: float) -> None:
        """Call into librdkafka, which calls us back."""
        try:
            call(seconds)
        except KafkaException as problem:  # how a fatal error comes, whatever function there is to be called
            self._take_error(problem.args[0])

    def has_acked(self) -> None:
        """Take note that the producer works."""
        self._in_vain = 0

    @property
    def is_failing(self) -> bool:
        """Whether the last producers have failed one after another."""
        return self._in_vain > 0

    @property
    def is_hopeless(self) -> bool:
        """Whether so many have failed that a run that is to end need not wait for the next."""
        return self._in_vain >= _MAX_FUTILE_RENEWALS and not self._smaller_batches

    @property
    def works_next(self) -> bool:
        """Whether the producer that is to be made next is likely to work."""
        return self.is_spent and bool(self._smaller_batches or not self._in_vain)

    # -- failures

    def has_failed(self, error: KafkaError) -> None:
        """Have the producer replaced, for this reason."""
        if not self.is_spent or (error.fatal() and self.why and not self.why.fatal()):
            self.why = error
        self.is_spent = True

    def may_be_stale(self, error: KafkaError) -> bool:
        """Tell whether librdkafka refuses by what it has learned of the topic: it asks again in minutes only."""
        is_remembered = error.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED
        return is_remembered and self._clock() - self._made_at > _STALE_AFTER_S

    def knows_too_little(self) -> None:
        """Have the producer replaced by one that asks the broker anew; nobody need be told."""
        self.is_spent = self._quietly = True

    def batch_was_too_large(self, message_bytes: int) -> FailureAction:
        """Take the refusal of a batch with a message of so many bytes, which may fit into a smaller one."""
        if self._smaller_batches:  # a batch of the same producer
            return FailureAction.RENEW
        limit = batch_limit(self._properties)
        if limit <= message_bytes:  # it was alone
            return FailureAction.REFUSED
        self._smaller_batches = limit // 2
        return FailureAction.RENEW

    def _take_error(self, error: KafkaError) -> None:
        if error.fatal() or error.code() == KafkaError._FATAL:
            if classify(error) is FailureAction.REFUSED:
                self.refusal = error
            self.has_failed(error)
        else:
            self._tell_error(error)

    # -- replacement

    def renew(self) -> None:
        """Replace the producer; all that it still holds comes back as not delivered before this returns."""
        why = explain(self.why) if self.why else ""
        self.producer.purge()
        while len(self):
            self.poll(0.1)
        self.is_spent = False  # the purge's own reports have asked for it once more
        quietly = self._quietly or self.refusal is not None
        self._quietly, self.refusal = False, None
        if self._smaller_batches:
            self._make_batches_smaller()
            quietly = True
        self.producer = self._factory(self._properties)
        self._made_at = self._clock()
        if quietly:
            return
        if not self._in_vain:
            text = f"the producer failed for good ({why}) and was replaced; what it held is sent again"
            self._note(logging.WARNING, text)
        self._in_vain += 1  # until the new one has something acknowledged

    def _make_batches_smaller(self) -> None:
        self._properties["batch.size"] = self._smaller_batches
        if not self._batches_are_smaller:
            self._batches_are_smaller = True
            self._note(
                logging.WARNING,
                "the topic's max.message.bytes is lower than at the start: batches are made smaller until it "
                "takes them",
            )
        self._note(logging.DEBUG, f"batches are of at most {self._smaller_batches} bytes now")
        self._smaller_batches = 0
