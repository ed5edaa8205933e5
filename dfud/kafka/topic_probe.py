"""Asking the broker about one topic before a run, and explaining to the user why it cannot be accessed."""

from __future__ import annotations

import contextlib
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer
from confluent_kafka.admin import AdminClient

from dfud.errors import UsageError
from dfud.kafka import listener
from dfud.kafka.admin import make_admin_client
from dfud.kafka.broker_errors import ConnectionTrouble, latest_trouble, trouble_of
from dfud.kafka.client_errors import hide_secrets, settings_fault
from dfud.kafka.logger import silent_logger
from dfud.kafka.probe import PERMANENT_ERRORS, Answer, ProbeError, probe, reason_of

if TYPE_CHECKING:
    from confluent_kafka.admin._metadata import TopicMetadata

_MAX_ERRORS = 50  # that are kept: a broker may be away for weeks
_QUIET_S = 0.4  # without an answer, before the user hears of it; a connection over TLS takes some round trips
_IDENTIFY_INTERVAL_S = 30.0  # between attempts to find out what listens at an address

Client = TypeVar("Client", Producer, Consumer)
OnWait = Callable[[str], None]  # is called with why no broker answers, once for each reason


class TopicProbe(Generic[Client]):
    """A client that asks the broker about a topic: its errors are kept for the user, its log is dropped.

    The process that has made one must not fork afterwards: librdkafka's threads are missing in the child.
    """

    def __init__(
        self,
        client_type: Callable[[dict[str, Any]], Client],
        topic: str,
        properties: Mapping[str, Any],
        path: str,
        on_wait: OnWait | None = None,
        callbacks: Mapping[str, Any] = MappingProxyType({}),
    ) -> None:
        """Make the client; UsageError if librdkafka refuses `properties`, which are from the file `path`.

        With `on_wait`, its questions wait for a broker as long as it takes. `callbacks` are for this client only.
        """
        self.topic = topic
        self.properties = properties
        self._path = path
        self._on_wait = on_wait
        self.errors: deque[KafkaError] = deque(maxlen=_MAX_ERRORS)  # of the clients
        self._reported = ""  # the last reason for which it waits
        self._waiting_since: float | None = None
        self._identified: dict[str, float] = {}  # when it was found out what listens at an address (s, monotonic)
        self._found: tuple[str, str] | None = None  # what is odd about a listener
        self._admin: AdminClient | None = None
        self.addresses: tuple[str, ...] = ()  # "host:port" of the brokers, once there was an answer
        try:
            self.client: Client = client_type({**self._client_properties(), **callbacks})
        except (KafkaException, ValueError, TypeError) as error:
            fault = settings_fault(reason_of(error), properties)
            raise UsageError(f"invalid configuration in {path}: {fault}") from None

    def _client_properties(self) -> dict[str, Any]:
        return {**self.properties, "error_cb": self.errors.append, "logger": silent_logger()}

    @property
    def admin(self) -> AdminClient:
        """A client for administration, whose errors are kept, too."""
        if self._admin is None:
            self._admin = make_admin_client(self._client_properties())
        return self._admin

    @property
    def broker(self) -> str:
        """The addresses that the user gave, and where."""
        servers = self.properties.get("bootstrap.servers", self.properties.get("metadata.broker.list"))
        return f"{servers} (bootstrap.servers in {self._path})"

    def ask(self, question: Callable[[float], Answer]) -> Answer:
        """Return the answer to `question(timeout in seconds)`, which is repeated while it raises KafkaException.

        Raises UsageError if there never will be an answer or, unless it may wait, if there is none in time.
        """
        try:
            return probe(question, self._poll, None if self._on_wait is None else self._on_failure)
        except ProbeError as error:
            trouble = self._trouble(str(error)) if error.error is None else trouble_of(error.error)
            if error.error is None:
                self._identify(trouble)
                trouble = self._trouble(str(error))
            raise self.access_error(trouble.reason, trouble.advice) from None

    def metadata(self, timeout_s: float) -> TopicMetadata:
        """Return what the broker says about the topic; UsageError if it refuses for good."""
        answer = self.client.list_topics(self.topic, timeout=timeout_s)
        self.addresses = tuple(f"{broker.host}:{broker.port}" for broker in answer.brokers.values())
        metadata: TopicMetadata = answer.topics[self.topic]
        error = metadata.error
        if error is not None and error.code() in PERMANENT_ERRORS:
            raise self.access_error(error.str(), trouble_of(error).advice)
        return metadata

    def access_error(self, reason: str, advice: str) -> UsageError:
        """Return the error that says why the topic cannot be accessed, and what to do."""
        reason = hide_secrets(reason, self.properties)
        return UsageError(f"cannot access topic {self.topic} at {self.broker}: {reason}; {advice}")

    # -- waiting

    def _poll(self) -> Sequence[KafkaError]:
        for client in (self.client, self._admin):
            with contextlib.suppress(KafkaException):  # a fatal error: asking about the topic says why
                if client is not None:
                    client.poll(0)
        return self.errors

    def _on_failure(self, failure: str) -> None:
        """Report why there is no answer, if that is news; UsageError if there never will be one."""
        now = time.monotonic()
        if self._waiting_since is None:
            self._waiting_since = now
        trouble = self._trouble(failure)
        if trouble.is_ours:
            raise self.access_error(trouble.reason, trouble.advice)
        if now - self._waiting_since >= _QUIET_S or not trouble.is_reachable:
            self._report(trouble)
            self._identify(trouble)

    def _report(self, trouble: ConnectionTrouble) -> None:
        text = f"{self.broker}: {trouble.describe()}"
        if text != self._reported and self._on_wait is not None:
            self._reported = text
            self._on_wait(hide_secrets(text, self.properties))

    def _trouble(self, failure: str) -> ConnectionTrouble:
        """Return why there is no answer, as far as the client has reported it."""
        trouble = latest_trouble(self.errors)
        if trouble is None:
            trouble = ConnectionTrouble(
                "",
                False,
                f"no answer ({failure.rpartition('Local: ')[2]})",
                "check bootstrap.servers, and that the broker is running",
                True,
            )
        if trouble.is_reachable and self._found is not None:
            trouble = trouble._replace(reason=self._found[0], advice=self._found[1])
        return trouble

    def _identify(self, trouble: ConnectionTrouble) -> None:
        """Find out what it is that accepts connections and does not answer as a broker would."""
        servers = str(self.properties.get("bootstrap.servers", self.properties.get("metadata.broker.list")))
        address = trouble.address or servers.split(",", maxsplit=1)[0].strip().rpartition("://")[2]
        now = time.monotonic()
        if not trouble.is_reachable or now - self._identified.get(address, -1e9) < _IDENTIFY_INTERVAL_S:
            return
        self._identified[address] = now
        found = listener.identify(address)
        self._found = None
        if found is None:
            return
        protocol = str(self.properties.get("security.protocol", "PLAINTEXT"))
        certain = listener.mismatch(found, protocol)
        if certain is not None:
            raise self.access_error(f"{address}: {certain[0]}", certain[1])
        odd = listener.describe(found)
        if odd is not None:
            self._found = f"{address}: {odd[0]}", odd[1]
            self._report(self._trouble(""))
