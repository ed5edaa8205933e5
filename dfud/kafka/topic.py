"""The topic before an upload: created if it is missing, looked at, and refused if it would lose what is sent."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from types import MappingProxyType
from typing import Any, NamedTuple

from confluent_kafka import KafkaError, KafkaException, Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._metadata import TopicMetadata
from confluent_kafka.cimpl import NewTopic

from dfud.errors import UsageError
from dfud.kafka.admin import make_admin_client
from dfud.kafka.broker_errors import is_unanswered
from dfud.kafka.cluster_questions import ClusterQuestions
from dfud.kafka.probe import reason_of
from dfud.kafka.topic_facts import Finding, Severity, TopicFacts
from dfud.kafka.topic_look import TopicQuestions
from dfud.kafka.topic_probe import OnWait, TopicProbe
from dfud.kafka.topic_rules import UploadNeeds, upload_findings

_CREATION_TIMEOUT_S = 10.0
_CANARY_RETENTION_MS = 86_400_000
_TROUBLE_TIMEOUT_S = 3.0


class UploadTopic(NamedTuple):
    """A topic that can be uploaded to."""

    facts: TopicFacts
    findings: list[Finding]  # none of them a refusal


class TopicLook(NamedTuple):
    """What there is to know of a topic, whether it can be uploaded to or not."""

    facts: TopicFacts | None  # None if there is no such topic, and an upload would create it
    broker: str  # the addresses that the user gave, and where


_NOT_CREATING = {"allow.auto.create.topics": False}  # which librdkafka's producers would have the broker do


def look_at_topic(
    on_wait: OnWait | None,
    topic: str,
    properties: Mapping[str, Any],
    config_path: str,
    needs: UploadNeeds,
    canary_topic: str = "",
) -> UploadTopic:
    """Return what an upload has to know of `topic`, which is created if it is missing and the broker allows it.

    So is the `canary_topic`, if there is to be one; whether it can be used is seen when a canary is sent.

    Raises UsageError if `properties` are not librdkafka's, or if the topic cannot be accessed, or would lose what
    is sent. With `on_wait`, this waits for a broker as long as it takes. The process must not fork afterwards.
    """
    probe = TopicProbe(Producer, topic, properties, config_path, on_wait)
    facts, broker = _ask(probe, creates=True)
    assert facts is not None
    findings = upload_findings(facts, needs)
    refusals = [finding.text for finding in findings if finding.severity is Severity.REFUSAL]
    if refusals:
        raise UsageError(f"cannot upload to {broker}: {'. Also: '.join(refusals)}")
    if canary_topic:
        _create_for_canaries(probe.admin, canary_topic)
    return UploadTopic(facts, findings)


def _create_for_canaries(admin: AdminClient, topic: str) -> None:
    """Create a topic with one partition that keeps messages for a day, if it is missing."""
    made = NewTopic(topic, num_partitions=1, config={"retention.ms": str(_CANARY_RETENTION_MS)})
    timeouts = {"operation_timeout": _CREATION_TIMEOUT_S, "request_timeout": _CREATION_TIMEOUT_S}
    with contextlib.suppress(KafkaException, FutureTimeoutError):  # it exists, mostly
        admin.create_topics([made], **timeouts)[topic].result(_CREATION_TIMEOUT_S)


def examine_topic(
    on_wait: OnWait | None, topic: str, properties: Mapping[str, Any], config_path: str
) -> TopicLook:
    """Return what an upload would have to know of `topic`, and create nothing.

    Raises UsageError if `properties` are not librdkafka's, or if the topic cannot be accessed or be created.
    """
    properties = {**properties, **_NOT_CREATING}
    return _ask(TopicProbe(Producer, topic, properties, config_path, on_wait), creates=False)


def _ask(probe: TopicProbe[Producer], creates: bool) -> TopicLook:
    lookup = TopicLookup(probe, creates)
    facts = probe.ask(lookup)
    if facts is not None:
        assert lookup.cluster is not None
        round_trip_s, clocks = lookup.cluster.answers()
        facts = facts._replace(clocks=(*facts.clocks, *clocks), round_trip_s=round_trip_s)
    return TopicLook(facts, probe.broker)


class TopicLookup:
    """The question what there is to know of a topic; a missing one is created, if it `creates`."""

    def __init__(
        self,
        probe: TopicProbe[Producer],
        creates: bool,
        settings: Mapping[str, str] = MappingProxyType({}),
        option: str = "--topic_name",
    ) -> None:
        """Create it with these `settings`; `option` is the one that names it."""
        self._probe = probe
        self._admin = probe.admin  # which connects while the other client asks for the metadata
        self._creates = creates
        self._settings = dict(settings)
        self._option = option
        self._creation: Future[None] | None = None  # the request, while it is not answered
        self._has_created = False
        self._questions: TopicQuestions | None = None
        self.cluster: ClusterQuestions | None = None  # once there is such a topic

    def __call__(self, timeout_s: float) -> TopicFacts | None:
        """Return the facts, None if it could be created; KafkaException if there may be an answer later."""
        probe = self._probe
        metadata = probe.metadata(timeout_s)
        if is_unknown(metadata) and not self._has_created:
            self._create(timeout_s)
            if not self._creates:
                return None
            metadata = probe.metadata(timeout_s)
        if metadata.error is not None:
            raise KafkaException(metadata.error)
        if not metadata.partitions:
            raise KafkaException("it has no partitions")
        if self.cluster is None:
            self.cluster = ClusterQuestions(probe)
        if self._questions is None:
            self._questions = TopicQuestions(self._admin, probe.topic, len(metadata.partitions))
        try:
            facts = self._questions.facts(metadata, timeout_s)
        except KafkaException:
            self._questions = None
            raise
        if facts is None:
            raise KafkaException("no answer about its settings and offsets")
        return facts

    def _create(self, timeout_s: float) -> None:
        """Create the topic, or have that checked.

        KafkaException if the broker does not answer yet, UsageError if it refuses.
        """
        probe = self._probe
        if self._creation is None:
            self._creation = self._admin.create_topics(
                [NewTopic(probe.topic, config=self._settings)],
                operation_timeout=_CREATION_TIMEOUT_S,
                request_timeout=_CREATION_TIMEOUT_S,
                validate_only=not self._creates,
            )[probe.topic]
        try:
            self._creation.result(timeout_s)
        except FutureTimeoutError:
            raise KafkaException("no answer yet to the request to create it") from None
        except KafkaException as error:
            self._creation = None
            if is_unanswered(error.args[0]):  # it may yet succeed, or be tried again
                raise
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise probe.access_error(
                    f"it does not exist, and cannot be created: {reason_of(error)}",
                    f"create it, or check {self._option}",
                ) from None
        self._has_created = True


def is_unknown(metadata: TopicMetadata) -> bool:
    """Return whether there is no such topic."""
    return metadata.error is not None and metadata.error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART


def topic_trouble(topic: str, properties: Mapping[str, Any]) -> str:
    """Return why the topic may accept no messages at the moment, or "" if no reason is known.

    This waits for the broker, up to 3 s, with a client of its own: on a connection on which the broker has not
    answered a message, it answers nothing else either.
    """
    admin = make_admin_client(properties)
    try:
        return trouble_in(admin.list_topics(topic, timeout=_TROUBLE_TIMEOUT_S).topics[topic])
    except KafkaException as error:
        return reason_of(error)


def trouble_in(metadata: TopicMetadata) -> str:
    """Return why a topic with this metadata may accept no messages, or ""."""
    if metadata.error is not None:
        return str(metadata.error.str())
    partitions = metadata.partitions.values()
    leaderless = sum(each.leader < 0 for each in partitions)
    if leaderless:
        return f"{leaderless} of its {len(partitions)} partitions have no leader"
    behind = sum(len(each.isrs) < len(each.replicas) for each in partitions)
    return f"{behind} of its {len(partitions)} partitions have too few replicas in sync" if behind else ""
