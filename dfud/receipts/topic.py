"""The topic of receipts before a run: made if it is missing, and refused if it would not keep them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from confluent_kafka import Producer

from dfud.errors import UsageError
from dfud.kafka.receipt_config import BATCH_BYTES
from dfud.kafka.topic import TopicLookup
from dfud.kafka.topic_facts import Finding, Severity, TopicFacts
from dfud.kafka.topic_probe import OnWait, TopicProbe
from dfud.kafka.topic_rules import RULES, UploadNeeds

_SETTINGS = {"cleanup.policy": "compact"}  # of a topic that is made
_NOT_CREATING = {"allow.auto.create.topics": False}


class ReceiptTopic(NamedTuple):
    """A topic that receipts can be sent to."""

    topic_id: str  # of Kafka; "" if the broker does not say
    warnings: tuple[str, ...]


def ask_receipt_topic(
    on_wait: OnWait | None, topic: str, properties: Mapping[str, Any], config_path: str
) -> ReceiptTopic:
    """Return the topic of receipts, which is made if it is missing; UsageError if it cannot be used.

    With `on_wait`, this waits for a broker as long as it takes. The process must not fork afterwards.
    """
    probe = TopicProbe(Producer, topic, {**properties, **_NOT_CREATING}, config_path, on_wait)
    facts = probe.ask(TopicLookup(probe, creates=True, settings=_SETTINGS, option="--receipts"))
    assert facts is not None
    findings = list(receipt_findings(facts))
    refusals = [finding.text for finding in findings if finding.severity is Severity.REFUSAL]
    if refusals:
        raise UsageError(f"cannot send receipts to {probe.broker}: {'. Also: '.join(refusals)}")
    warnings = (finding.text for finding in findings if finding.severity is Severity.WARNING)
    return ReceiptTopic(facts.topic_id, tuple(warnings))


def receipt_findings(facts: TopicFacts) -> Iterator[Finding]:
    """Yield all that matters about a topic for the receipts on it."""
    needs = UploadNeeds(chunk_size=0)
    yield from RULES["rights"](facts, needs)
    yield from RULES["replicas"](facts, needs)
    limit = facts.number("max.message.bytes")
    if limit is not None and limit < 2 * BATCH_BYTES:
        yield Finding(
            Severity.REFUSAL,
            f"topic {facts.topic} takes batches of at most max.message.bytes = {limit}, too small for receipts; "
            f"set the topic's max.message.bytes to {2 * BATCH_BYTES} or more",
        )
    if facts.settings is None:
        yield Finding(
            Severity.WARNING,
            f"the settings of topic {facts.topic} cannot be looked at ({facts.unseen}): if it is not compacted, "
            "receipts vanish from it; grant the operation DescribeConfigs on it",
        )
    elif "compact" not in facts.policies:
        yield Finding(
            Severity.REFUSAL,
            f"topic {facts.topic} has cleanup.policy = {','.join(facts.policies)}: receipts would vanish from it, "
            "or be kept more than once; set the topic's cleanup.policy to compact",
        )
    elif facts.deletes:
        yield Finding(
            Severity.WARNING,
            f"topic {facts.topic} has cleanup.policy = {','.join(facts.policies)}: old receipts vanish from it, "
            "so that nobody knows that the files were received; set the topic's cleanup.policy to compact",
        )
