"""What reading a topic needs of a broker, asked for before it is read: without it a consumer waits for ever."""

from __future__ import annotations

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._config import ConfigResource
from confluent_kafka.admin._resource import ResourceType

from dfud.core.text import counted
from dfud.errors import UsageError
from dfud.kafka.topic_facts import Finding, Severity
from dfud.kafka.topic_look import operations_of
from dfud.kafka.topic_probe import TopicProbe

_ANSWER_TIMEOUT_S = 5.0
_OFFSETS_TOPIC = "__consumer_offsets"
_FACTOR = "offsets.topic.replication.factor"


def check_read_access(probe: TopicProbe[Consumer], group: str | None) -> None:
    """Raise UsageError if this user may not read the topic, or cannot commit offsets in `group` (None for none).

    What the broker does not say is left to the reading. A broker must have answered before.
    """
    findings = topic_read_findings(probe.admin, probe.topic)
    if group is not None:
        findings += group_findings(probe.admin, group)
    if findings:
        texts = ". Also: ".join(finding.text for finding in findings)
        raise UsageError(f"cannot read topic {probe.topic} at {probe.broker}: {texts}")


def topic_read_findings(admin: AdminClient, topic: str) -> list[Finding]:
    """Return what keeps this user from reading the topic."""
    asked = admin.describe_topics(
        TopicCollection([topic]), include_authorized_operations=True, request_timeout=_ANSWER_TIMEOUT_S
    )
    try:
        return right_findings("topic", topic, operations_of(asked[topic].result()))
    except KafkaException:  # an old broker
        return []


def group_findings(admin: AdminClient, group: str) -> list[Finding]:
    """Return what keeps this user from committing offsets in `group`."""
    described = admin.describe_topics(TopicCollection([_OFFSETS_TOPIC]), request_timeout=_ANSWER_TIMEOUT_S)
    try:
        described[_OFFSETS_TOPIC].result()
    except KafkaException as error:
        if error.args[0].code() == KafkaError.UNKNOWN_TOPIC_OR_PART:  # brokers make it when it is first needed
            return _new_offsets_topic_findings(admin)
    asked = admin.describe_consumer_groups(
        [group], include_authorized_operations=True, request_timeout=_ANSWER_TIMEOUT_S
    )
    try:
        return right_findings("group", group, operations_of(asked[group].result()))
    except KafkaException as error:
        is_refused = error.args[0].code() == KafkaError.GROUP_AUTHORIZATION_FAILED
        return right_findings("group", group, frozenset(["none"])) if is_refused else []


def right_findings(kind: str, name: str, operations: frozenset[str] | None) -> list[Finding]:
    """Return a refusal if the allowed `operations` on a topic or group are known, and Read is not one of them."""
    if not operations or "READ" in operations:
        return []
    text = f"the ACLs of {kind} {name} do not allow this user to read; grant the operation Read on the {kind}"
    return [Finding(Severity.REFUSAL, text)]


def _new_offsets_topic_findings(admin: AdminClient) -> list[Finding]:
    """Return why the brokers cannot make the topic that keeps the offsets of groups, if that is known."""
    try:
        brokers = admin.list_topics(timeout=_ANSWER_TIMEOUT_S).brokers
        resource = ConfigResource(ResourceType.BROKER, str(min(brokers)))
        settings = admin.describe_configs([resource], request_timeout=_ANSWER_TIMEOUT_S)[resource].result()
        return offsets_topic_findings(len(brokers), int(settings[_FACTOR].value))
    except (KafkaException, KeyError, TypeError, ValueError):  # this user may not ask
        return []


def offsets_topic_findings(n_brokers: int, factor: int) -> list[Finding]:
    """Return a refusal if there are too few brokers for the topic that keeps the offsets of groups."""
    if n_brokers >= factor:
        return []
    return [
        Finding(
            Severity.REFUSAL,
            f"consumer groups cannot be used, as topic {_OFFSETS_TOPIC} cannot be created on "
            f"{counted(n_brokers, 'broker')} with {_FACTOR} = {factor}; set that to {n_brokers} on the broker",
        )
    ]
