"""The Kafka producers of a lane, which are replaced when one of them fails permanently."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Mapping
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Producer

from dfud.kafka.logger import silent_logger
from dfud.kafka.properties import batch_limit
from dfud.uploading.delivery import FailureAction, classify, explain

ProducerFactory = Callable[[dict[str, Any]], Producer]

_FLUSH_TIMEOUT_S = 0.001  # s; enough for librdkafka's threads to notice
_PURGE_POLL_S = 0.1  # s
_MAX_FUTILE_RENEWALS = 8  # while draining; with the pauses between them some 20 s
_STALE_AFTER_S = 1.0  # s; a refusal from librdkafka's cache is not believed if it may be older


class RenewableProducer:
    """Responsible for a working producer, and for handling each failure of one producer only once.

    It may consist of several that take turns (see `long_line`): they are replaced together.
    """

    def __init__(
        self,
        factory: ProducerFactory,
        properties: Mapping[str, Any],
        on_error: Callable[[KafkaError], None],
        on_throttled: Callable[[float], None],
        log: Callable[[int, str], None],
        on_served: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
        number: int = 1,
    ) -> None:
        """`on_error` is called with errors that a producer survives, `log` with a level and a text.

        `on_throttled` is called with the seconds that the broker lets this client wait, `on_served` whenever
        delivery reports may have arrived. There are `number` producers at first.
        """
        self._factory = factory
        self._properties = {
            **properties,
            "error_cb": self._on_error,
            "throttle_cb": lambda event: on_throttled(event.throttle_time),
            "logger": silent_logger(),
        }
        self._on_survivable_error = on_error
        self._log = log
        self._on_served = on_served
        self._clock = clock
        self.producers = self._make(number)
        self._may_add = True
        self._created_at = clock()
        self.is_spent = False  # it has failed, and is to be replaced
        self.failure: KafkaError | None = None  # for which it is to be replaced
        self.refusal: KafkaError | None = None  # that failure, if the broker refuses whatever this producer sends
        self._n_futile = 0  # renewals since the last acknowledgement
        self._next_batch_size = 0  # bytes, for the next producer; 0 to keep it
        self._has_reduced_batches = False  # since the start

    def _make(self, number: int) -> list[Producer]:
        return [self._factory(self._properties) for _ in range(number)]

    def add(self) -> None:
        """Make one more producer, unless that has failed before: those that there are will do."""
        if self._may_add:
            try:
                self.producers += self._make(1)
            except (KafkaException, RuntimeError) as error:  # too many threads, or open files
                self._may_add = False
                self._log(logging.DEBUG, f"{len(self.producers)} Kafka producers have to do: {error}")

    def __len__(self) -> int:
        """Count the messages that the producer still holds."""
        return sum(map(len, self.producers))

    def poll(self, seconds: float = 0.0) -> None:
        """Serve librdkafka's callbacks; wait at most so long for the first one."""
        for producer in self.producers:
            self._serve(producer.poll, seconds)
        self._on_served()

    def flush(self, numbers: Collection[int] = (0,)) -> None:
        """Make some of the producers send what they keep back for fuller batches, and serve all callbacks.

        During a flush ``linger.ms`` is ignored, unless librdkafka's threads are too slow to notice the flush.
        """
        for number, producer in enumerate(self.producers):
            if number in numbers:
                self._serve(producer.flush, _FLUSH_TIMEOUT_S)
            else:
                self._serve(producer.poll, 0.0)
        self._on_served()

    def purge(self) -> None:
        """Discard what the producer still holds, which is reported as undelivered."""
        for producer in self.producers:
            producer.purge()

    def _serve(self, call: Callable[[float], int], seconds: float) -> None:
        try:
            call(seconds)
        except KafkaException as raised:  # a fatal error arrives like this, whether there is an error_cb or not
            self._on_error(raised.args[0])

    def on_acked(self) -> None:
        """Record that the producer works."""
        self._n_futile = 0

    @property
    def is_failing(self) -> bool:
        """Whether the last producers have failed one after another."""
        return self._n_futile > 0

    @property
    def is_hopeless(self) -> bool:
        """Whether so many have failed that there is no point in waiting for the next one while draining."""
        return self._n_futile >= _MAX_FUTILE_RENEWALS and not self._next_batch_size

    @property
    def is_next_promising(self) -> bool:
        """Whether the producer is to be replaced, and its successor is likely to work."""
        return self.is_spent and bool(self._next_batch_size or not self._n_futile)

    # -- failures

    def on_failure(self, error: KafkaError) -> None:
        """Mark the producer as spent because of `error`."""
        if not self.is_spent or (error.fatal() and self.failure and not self.failure.fatal()):
            self.failure = error
        self.is_spent = True

    def may_be_stale(self, error: KafkaError) -> bool:
        """Return whether the refusal may come from librdkafka's cache, which is refreshed only after minutes."""
        is_cached = error.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED
        return is_cached and self._clock() - self._created_at > _STALE_AFTER_S

    def on_batch_too_large(self, message_bytes: int) -> FailureAction:
        """Take the refusal of a batch with a message of `message_bytes`; return what to do about that message."""
        if self._next_batch_size:  # another batch of the same producer
            return FailureAction.RENEW
        limit = batch_limit(self._properties)
        if limit <= message_bytes:  # the message was alone in its batch
            return FailureAction.REFUSED
        self._next_batch_size = limit // 2
        return FailureAction.RENEW

    def wait_longer(self, socket_timeout_ms: int) -> None:
        """Replace the producer by one that waits so long for an answer."""
        self._properties["socket.timeout.ms"] = socket_timeout_ms
        self._log(logging.DEBUG, f"socket.timeout.ms is {socket_timeout_ms} now")
        self.renew(quietly=True)

    def reduce_batches(self, batch_bytes: int) -> None:
        """Replace the producer by one that sends batches of at most `batch_bytes`."""
        if batch_bytes < batch_limit(self._properties):
            self._next_batch_size = batch_bytes
        self.renew(quietly=True)

    def _on_error(self, error: KafkaError) -> None:
        if error.fatal() or error.code() == KafkaError._FATAL:
            if classify(error) is FailureAction.REFUSED:
                self.refusal = error
            self.on_failure(error)
        else:
            self._on_survivable_error(error)

    # -- replacement

    def renew(self, quietly: bool = False) -> None:
        """Replace the producer; everything that it still holds is reported as undelivered before this returns.

        It is logged and counted as futile until something is acknowledged, unless `quietly`, or the failure is
        reported for each file anyway.
        """
        self.is_spent = True  # so that nothing that the purge reports is taken for the failure
        reason = explain(self.failure) if self.failure else ""
        self.purge()
        while len(self):
            self.poll(_PURGE_POLL_S)
        quietly = quietly or self.refusal is not None
        self.refusal = None
        if self._next_batch_size:
            self._reduce_batches()
            quietly = True
        self.producers = self._make(len(self.producers))
        self._created_at = self._clock()
        self.is_spent = False
        if quietly:
            return
        if not self._n_futile:
            text = f"the producer failed permanently ({reason}) and was replaced; what it held is sent again"
            self._log(logging.WARNING, text)
        self._n_futile += 1

    def _reduce_batches(self) -> None:
        self._properties["batch.size"] = self._next_batch_size
        if not self._has_reduced_batches:
            self._has_reduced_batches = True
            text = "the broker refuses batches of this size: reducing batches until it accepts them"
            self._log(logging.WARNING, text)
        self._log(logging.DEBUG, f"batches have at most {self._next_batch_size} bytes now")
        self._next_batch_size = 0
