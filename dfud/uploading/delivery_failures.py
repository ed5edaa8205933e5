"""What becomes of messages that were not delivered: they are sent again, or their files fail."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from confluent_kafka import KafkaError

from dfud.messages import DeliveryGivenUp, FromProducer
from dfud.uploading.checkup import Checkup
from dfud.uploading.delivery import (
    FailureAction,
    classify,
    explain,
    too_large_for_client,
    too_large_for_queue,
    too_large_for_request,
)
from dfud.uploading.drain_deadline import DrainDeadline
from dfud.uploading.files_in_progress import FilesInProgress
from dfud.uploading.renewable_producer import RenewableProducer
from dfud.uploading.retry_queue import FIRST_RETRY_S, Retry, RetryQueue
from dfud.uploading.upload import Upload


class DeliveryFailures:
    """Responsible for each message that was not delivered, and for giving up when a run is about to end."""

    def __init__(
        self,
        properties: Mapping[str, Any],
        client: RenewableProducer,
        files: FilesInProgress,
        retries: RetryQueue,
        deadline: DrainDeadline,
        checkup: Checkup,
        send: Callable[[Sequence[FromProducer]], None],
    ) -> None:
        """`send` sends messages to the supervisor."""
        self._properties = properties
        self._client = client
        self._files = files
        self._retries = retries
        self._deadline = deadline
        self._checkup = checkup
        self._send = send
        self._has_given_up = False

    @property
    def max_chunk(self) -> int:
        """The length of the largest value that is worth an attempt (bytes); -1 if none is."""
        return -1 if self._has_given_up else self._checkup.max_chunk

    # -- before librdkafka has a message

    def on_untried(self, upload: Upload, length: int) -> None:
        """Fail the file of a message that is longer than `max_chunk`."""
        if self._deadline.error is not None and self._has_given_up:
            self._fail(upload, FailureAction.RETRY, self._deadline.error)
        else:
            reason = too_large_for_request(length, self._checkup.max_request)
            self._files.fail(upload, reason, is_too_large=True)

    def on_queue_too_small(self, upload: Upload, length: int) -> None:
        """Fail the file of a message that does not fit into librdkafka's empty queue."""
        self._files.fail(upload, too_large_for_queue(length, self._properties), is_too_large=True)

    def on_not_accepted(self, upload: Upload, error: KafkaError, now: float) -> float:
        """Take an error of librdkafka's `produce`; return for how long nothing should be produced (s)."""
        client, action = self._client, classify(error)
        if action is FailureAction.SMALLER:  # librdkafka itself finds the message too large
            self._files.fail(upload, too_large_for_client(error, self._properties), is_too_large=True)
        elif client.may_be_stale(error):
            client.renew(quietly=True)
        elif self._is_final(action, now):
            self._fail(upload, action, error)
        else:
            if action is FailureAction.RENEW:
                client.on_failure(error)
            return self._retries.pause_s if client.is_failing else FIRST_RETRY_S
        return 0.0

    # -- after librdkafka had it

    def on_acked(self) -> None:
        """Hope again: something was acknowledged."""
        self._has_given_up = False

    def on_undelivered(
        self, upload: Upload, number: int, error: KafkaError, message: Any, now: float, last_ack: float
    ) -> None:
        """Take the delivery report of a message that was not delivered."""
        client, action = self._client, classify(error)
        self._deadline.on_undelivered(error)
        if action is FailureAction.SMALLER:
            action = client.on_batch_too_large(len(message.value() or b"") + len(message.key() or b""))
        elif action is FailureAction.RENEW and client.refusal:
            action, error = FailureAction.REFUSED, client.refusal
        if self._is_final(action, now):
            self._fail(upload, action, error, number)
            if self._deadline.is_over(now):
                self._give_up(error)
            return
        if action is FailureAction.RENEW:
            client.on_failure(error)
        self.retry(upload, number, message, now, last_ack)

    def retry(self, upload: Upload, number: int, message: Any, now: float, last_ack: float) -> None:
        """Send a message again, after a pause; `last_ack` is the time of the last acknowledgement."""
        retry = Retry(upload, number, message.value() or b"")
        self._retries.add(retry, now, last_ack, at_once=self._client.is_next_promising)

    def check(self, is_waiting: bool, now: float) -> None:
        """Give up if nothing has been acknowledged for too long while something waits for it."""
        self._deadline.on_waiting(is_waiting, now)
        if is_waiting and self._deadline.error is not None and self._deadline.is_over(now):
            self._give_up(self._deadline.error)

    def _is_final(self, action: FailureAction, now: float) -> bool:
        """Return whether a message is not sent again: it is refused, or the run is about to end."""
        if action is FailureAction.RENEW:
            return self._deadline.is_draining and self._client.is_hopeless
        return action is FailureAction.REFUSED or self._deadline.is_over(now)

    def _give_up(self, error: KafkaError) -> None:
        if not self._has_given_up:
            self._has_given_up = True
            self._send([DeliveryGivenUp(explain(error))])

    def _fail(self, upload: Upload, action: FailureAction, error: KafkaError, chunk: int = 0) -> None:
        cause = self._client.failure if action is FailureAction.RENEW else None
        is_too_large = classify(error) is FailureAction.SMALLER
        self._files.fail(upload, explain(cause or error), is_too_large, chunk)
