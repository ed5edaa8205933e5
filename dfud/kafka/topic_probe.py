"""Asking the broker about one topic before a run, and explaining to the user why it cannot be accessed."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer

from dfud.errors import UsageError
from dfud.kafka.logger import DisconnectHandler, silent_logger
from dfud.kafka.probe import PERMANENT_ERRORS, Answer, ProbeError, probe, reason_of

if TYPE_CHECKING:
    from confluent_kafka.admin._metadata import TopicMetadata

_ADVICE = {
    KafkaError._AUTHENTICATION: "check sasl.username, sasl.password and sasl.mechanism",
    KafkaError._SSL: "check ssl.ca.location and security.protocol",
    KafkaError.TOPIC_AUTHORIZATION_FAILED: "grant the user of this file access to the topic",
}
_DISCONNECT_ADVICE = "the broker accepts connections and closes them: check security.protocol"
_DEFAULT_ADVICE = "check the address, and that the broker is running"

Client = TypeVar("Client", Producer, Consumer)


class TopicProbe(Generic[Client]):
    """A client that asks the broker about a topic: its errors are kept for the user, its log is dropped.

    The process that has made one must not fork afterwards: librdkafka's threads are missing in the child.
    """

    def __init__(
        self, client_type: Callable[[dict[str, Any]], Client], topic: str, properties: Mapping[str, Any], path: str
    ) -> None:
        """Make the client; UsageError if librdkafka refuses `properties`, which are from the file `path`."""
        self.topic = topic
        self.properties = properties
        self.logger = silent_logger()
        self._path = path
        self._errors: list[KafkaError] = []
        self._disconnects = DisconnectHandler()
        self.logger.addHandler(self._disconnects)
        try:
            self.client: Client = client_type(
                {**properties, "error_cb": self._errors.append, "logger": self.logger}
            )
        except (KafkaException, ValueError, TypeError) as error:
            raise UsageError(f"invalid configuration in {path}: {reason_of(error)}") from None

    def ask(self, question: Callable[[float], Answer]) -> Answer:
        """Return the answer to `question(timeout in seconds)`, which is repeated while it raises KafkaException.

        Raises UsageError if there is no answer in time, or never will be.
        """
        try:
            return probe(question, self._reported)
        except ProbeError as error:
            raise self.access_error(str(error), self._advice(error.error)) from None

    def metadata(self, timeout_s: float) -> TopicMetadata:
        """Return what the broker says about the topic; UsageError if it refuses for good."""
        metadata: TopicMetadata = self.client.list_topics(self.topic, timeout=timeout_s).topics[self.topic]
        error = metadata.error
        if error is not None and error.code() in PERMANENT_ERRORS:
            raise self.access_error(error.str(), self._advice(error))
        return metadata

    def access_error(self, reason: str, advice: str) -> UsageError:
        """Return the error that says why the topic cannot be accessed, and what to do."""
        servers = self.properties.get("bootstrap.servers", self.properties.get("metadata.broker.list"))
        broker = f"{servers} (bootstrap.servers in {self._path})"
        return UsageError(f"cannot access topic {self.topic} at {broker}: {reason}; {advice}")

    def _reported(self) -> Sequence[KafkaError]:
        with contextlib.suppress(KafkaException):  # a fatal error: asking about the topic says why
            self.client.poll(0)
        return self._errors

    def _advice(self, error: KafkaError | None) -> str:
        if error is not None and error.code() in _ADVICE:
            return _ADVICE[error.code()]
        return _DISCONNECT_ADVICE if self._disconnects.has_seen_one else _DEFAULT_ADVICE
