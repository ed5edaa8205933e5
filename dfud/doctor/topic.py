"""The broker and the topic, asked and judged by what an upload itself uses, and nothing created or changed."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping

from dfud.core.text import counted
from dfud.core.user_headers import header_bytes
from dfud.doctor.bounded import receive
from dfud.doctor.diagnosis import Diagnosis, Level, fine, skipped, stops, warning
from dfud.doctor.other_topics import check_canary_topic
from dfud.errors import DfudError, UsageError
from dfud.kafka.config import ClientConfig
from dfud.kafka.properties import producer_properties
from dfud.kafka.topic import TopicLook, examine_topic
from dfud.kafka.topic_facts import Severity, TopicFacts
from dfud.kafka.topic_rules import RULES, UploadNeeds, duration, instant, judged_by, size, stamps_by_broker
from dfud.processes.child import ChildCall
from dfud.uploading.options import UploadOptions
from dfud.uploading.preflight import memory_shares, topic_needs

_BROKER, _TOPIC = "broker", "topic"
_SUBJECTS = {"rights": "rights", "clock": "clock"}  # of rules that are not about the topic itself
_LEVELS: Mapping[Severity, Level] = {
    Severity.NOTE: Level.FINE,
    Severity.WARNING: Level.WARNING,
    Severity.REFUSAL: Level.STOPS,
}
_UNKNOWN = skipped(_TOPIC, "its settings, rights and clock cannot be checked without a broker")


def check_topic(
    options: UploadOptions, config: ClientConfig, timeout_s: float, waits: bool
) -> Iterator[Diagnosis]:
    """Look at the topic; unless this `waits`, the first thing that keeps a client from the brokers ends it."""
    try:
        properties = producer_properties(
            config, options.chunk_size, memory_shares(options).librdkafka, header_bytes(options.headers)
        )
    except UsageError as error:
        yield stops("configuration", str(error))
        yield _UNKNOWN
        return
    reason = f"{properties.get('bootstrap.servers')}: no answer; check bootstrap.servers"
    deadline = time.monotonic() + timeout_s
    with ChildCall(examine_topic, options.topic, properties, config.path) as call:
        try:
            said = receive(call, deadline)
            while said:
                reason = said
                said = receive(call, deadline) if waits else ""
        except DfudError as error:
            yield stops(_BROKER, str(error))
            yield _UNKNOWN
            return
        if said is None:
            yield from judge(options.topic, call.result, topic_needs(options, properties))
            if options.canary_topic:
                yield check_canary_topic(options.canary_topic, properties, config.path, timeout_s)
            return
    yield stops(_BROKER, f"no broker reached at {reason}")
    yield _UNKNOWN


def judge(topic: str, look: TopicLook, needs: UploadNeeds) -> Iterator[Diagnosis]:
    """Judge what the broker has said."""
    yield fine(_BROKER, f"a broker has answered at {look.broker}")
    facts = look.facts
    if facts is None:
        yield warning(
            _TOPIC,
            f"topic {topic} does not exist, and the upload would create it with the brokers' defaults; check "
            "--topic_name, or create it with the retention and the partitions that you want",
        )
        return
    praise = {"rights": _rights(facts), "clock": _clock(facts), "retention": _settings(facts)}
    for name, rule in RULES.items():
        findings = list(rule(facts, needs))
        subject = _SUBJECTS.get(name, _TOPIC)
        for finding in findings:
            yield Diagnosis(_LEVELS[finding.severity], subject, finding.text)
        if name in praise and not findings:
            yield fine(subject, praise[name])


def _rights(facts: TopicFacts) -> str:
    if facts.operations is None:
        return "the broker does not say what this user may do with the topic: only an upload finds out"
    return f"this user may write to topic {facts.topic}"


def _settings(facts: TopicFacts) -> str:
    """Describe a topic that keeps what is sent."""
    age = "for ever" if facts.retention_ms is None else f"for {duration(facts.retention_ms)}"
    room = "" if facts.retention_bytes is None else f", up to about {size(facts.retention_bytes)}"
    if facts.settings is None:
        age, room = "for a time that is not known", ""
    replicas = min((each.replicas for each in facts.partitions), default=0)
    partitions, copies = counted(len(facts.partitions), "partition"), counted(replicas, "replica")
    return f"topic {facts.topic} has {partitions} of {copies}, and keeps messages {age}{room}"


def _clock(facts: TopicFacts) -> str:
    if stamps_by_broker(facts):
        return "brokers stamp the messages, so this machine's clock does not matter"
    reading = judged_by(facts.clocks)
    if reading is None:
        return "no broker says its time, and no message is later than this machine's clock"
    if reading.is_present:
        return f"it agrees with Kafka's within {duration(abs(reading.ours - reading.theirs))}"
    return f"{reading.source} has the time {instant(reading.theirs)}, hardly later than this machine's clock"
