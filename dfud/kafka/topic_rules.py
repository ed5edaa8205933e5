"""What the settings and the state of a topic mean for an upload: rules without any question to a broker."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timezone
from typing import NamedTuple

from dfud.core.text import counted
from dfud.kafka.properties import message_bytes_needed
from dfud.kafka.topic_facts import ClockReading, Finding, Severity, TopicFacts

_DAY_MS = 86_400_000
_MIN_RETENTION_BYTES = 10 << 30  # of the whole topic; less is worth a warning
_MAX_CLOCK_DIFFERENCE_MS = 60_000
_MIN_TIMESTAMP_AGE_MS = 3_600_000  # a message may wait for a broker as long as it takes

REFUSAL, WARNING, NOTE = Severity.REFUSAL, Severity.WARNING, Severity.NOTE


class UploadNeeds(NamedTuple):
    """What an upload wants of its topic."""

    chunk_size: int  # bytes
    wants_all_acks: bool = True  # acks=all: each in-sync replica has a message before it is acknowledged
    more_bytes: int = 0  # of each message: headers of the user's own


Rule = Callable[[TopicFacts, UploadNeeds], Iterator[Finding]]


def upload_findings(facts: TopicFacts, needs: UploadNeeds) -> list[Finding]:
    """Return all that matters about the topic for an upload, the most severe first."""
    findings = [finding for rule in RULES.values() for finding in rule(facts, needs)]
    return sorted(findings, key=lambda finding: -finding.severity)


def _right(facts: TopicFacts, _: UploadNeeds) -> Iterator[Finding]:
    if facts.operations and "WRITE" not in facts.operations:
        yield Finding(
            REFUSAL,
            f"the ACLs of topic {facts.topic} do not allow this user to write; grant the operation Write on it",
        )


def _visibility(facts: TopicFacts, _: UploadNeeds) -> Iterator[Finding]:
    if facts.settings is None:
        yield Finding(
            WARNING,
            f"the settings of topic {facts.topic} cannot be looked at ({facts.unseen}): retention, compaction and "
            "message sizes are not checked; grant the operation DescribeConfigs on it",
        )


def _cleanup(facts: TopicFacts, _: UploadNeeds) -> Iterator[Finding]:
    if "compact" in facts.policies:
        yield Finding(
            REFUSAL,
            f"topic {facts.topic} has cleanup.policy = {','.join(facts.policies)}: compaction would delete all "
            "chunks of a file but the last, as they have the same key; set the topic's cleanup.policy to delete",
        )


def _sizes(facts: TopicFacts, needs: UploadNeeds) -> Iterator[Finding]:
    needed = message_bytes_needed(needs.chunk_size, needs.more_bytes)
    limit = facts.number("max.message.bytes")
    if limit is not None and limit < needed:
        yield Finding(
            REFUSAL,
            f"topic {facts.topic} takes messages of at most max.message.bytes = {limit}, too small for "
            f"--chunk_size {needs.chunk_size}; set the topic's max.message.bytes to {needed} or more",
        )
    limit = facts.number("segment.bytes")
    if limit is not None and limit < needed:
        yield Finding(
            REFUSAL,
            f"topic {facts.topic} has segments of segment.bytes = {limit}, too small for --chunk_size "
            f"{needs.chunk_size}; set the topic's segment.bytes to {needed} or more",
        )


def _retention(facts: TopicFacts, _: UploadNeeds) -> Iterator[Finding]:
    retention_ms, retention_bytes = facts.retention_ms, facts.retention_bytes
    if retention_ms is not None and retention_ms < _DAY_MS:
        yield Finding(
            WARNING,
            f"topic {facts.topic} has retention.ms = {retention_ms}: it deletes what is older than "
            f"{duration(retention_ms)}; raise the topic's retention.ms if files are to be read later than that",
        )
    if retention_bytes is not None and retention_bytes < _MIN_RETENTION_BYTES:
        n_partitions = len(facts.partitions)
        yield Finding(
            WARNING,
            f"topic {facts.topic} has retention.bytes = {facts.number('retention.bytes')}: "
            f"{counted(n_partitions, 'partition')} of that size hold about {size(retention_bytes)}, and what is "
            "older is deleted; raise the topic's retention.bytes if it is to hold more",
        )


def _replicas(facts: TopicFacts, needs: UploadNeeds) -> Iterator[Finding]:
    required = facts.number("min.insync.replicas")
    if not facts.partitions or required is None:
        return
    replicas = min(partition.replicas for partition in facts.partitions)
    name = f"topic {facts.topic}"
    if needs.wants_all_acks and replicas < required:
        yield Finding(
            REFUSAL,
            f"{name} has {counted(replicas, 'replica')} and min.insync.replicas = {required}, so that nothing "
            f"will ever be acknowledged; set the topic's min.insync.replicas to {replicas}, or add replicas",
        )
        return
    if needs.wants_all_acks:
        n_short = sum(partition.in_sync < required for partition in facts.partitions)
        if n_short:
            yield Finding(
                WARNING,
                f"{n_short} of the {counted(len(facts.partitions), 'partition')} of {name} have fewer replicas in "
                f"sync than min.insync.replicas = {required}: nothing is acknowledged there until they are back",
            )
    if replicas == 1:
        yield Finding(NOTE, f"{name} has a replication factor of 1: if the broker's disk fails, it is gone")
    elif required == 1:
        yield Finding(
            WARNING,
            f"{name} has {replicas} replicas and min.insync.replicas = 1: an acknowledged message can be lost "
            "with one broker; set the topic's min.insync.replicas to 2",
        )
    if replicas > 1 and facts.is_on("unclean.leader.election.enable"):
        yield Finding(
            WARNING,
            f"{name} has unclean.leader.election.enable = true: acknowledged messages can be lost when brokers "
            "fail; set it to false",
        )


def _timestamps(facts: TopicFacts, _: UploadNeeds) -> Iterator[Finding]:
    if stamps_by_broker(facts):
        yield Finding(
            NOTE, f"topic {facts.topic} has message.timestamp.type = LogAppendTime: brokers stamp messages"
        )
        return
    name, oldest_ms = _timestamp_limit(facts, "before")
    if oldest_ms is not None and oldest_ms < _MIN_TIMESTAMP_AGE_MS:
        yield Finding(
            WARNING,
            f"topic {facts.topic} has {name} = {oldest_ms}: it refuses messages that have waited longer than "
            f"{duration(oldest_ms)} for a broker; raise the topic's {name}",
        )


def _clock(facts: TopicFacts, _: UploadNeeds) -> Iterator[Finding]:
    if stamps_by_broker(facts):
        return
    reading = judged_by(facts.clocks)
    if reading is None:
        return
    ahead_ms = reading.ours - reading.theirs
    behind_ms = -ahead_ms
    shown = f"this machine's clock shows {instant(reading.ours)}, {reading.source} {instant(reading.theirs)}"
    name_before, oldest_ms = _timestamp_limit(facts, "before")
    name_after, newest_ms = _timestamp_limit(facts, "after")
    retention_ms = facts.retention_ms
    advice = "set the clocks (NTP)"
    if not reading.is_present:
        advice = "set this machine's clock (NTP), unless that message was stamped by a wrong one"
    if newest_ms is not None and ahead_ms > newest_ms:
        limit = f"{name_after} = {newest_ms}"
        yield Finding(REFUSAL, f"{shown}: topic {facts.topic} would refuse all messages ({limit}); {advice}")
    elif oldest_ms is not None and behind_ms > oldest_ms:
        limit = f"{name_before} = {oldest_ms}"
        yield Finding(
            _severity(reading), f"{shown}: topic {facts.topic} would refuse all messages ({limit}); {advice}"
        )
    elif retention_ms is not None and behind_ms > retention_ms:
        limit = f"retention.ms = {retention_ms}"
        yield Finding(
            _severity(reading), f"{shown}: topic {facts.topic} would delete all messages ({limit}); {advice}"
        )
    elif abs(ahead_ms) > _MAX_CLOCK_DIFFERENCE_MS:
        yield Finding(
            WARNING,
            f"{shown}: messages are stamped by a clock that is {duration(abs(ahead_ms))} "
            f"{'ahead' if ahead_ms > 0 else 'behind'}, which retention goes by; {advice}",
        )


RULES: Mapping[str, Rule] = {  # by what they are about
    "rights": _right,
    "visibility": _visibility,
    "cleanup": _cleanup,
    "sizes": _sizes,
    "retention": _retention,
    "replicas": _replicas,
    "timestamps": _timestamps,
    "clock": _clock,
}


def _severity(reading: ClockReading) -> Severity:
    """Return what a wrong clock means: whether it is ours, only a broker can tell."""
    return REFUSAL if reading.is_present or reading.source == BROKERS_RECORD else WARNING


BROKERS_RECORD = "a broker's own record"  # the source of a timestamp that a broker has set


def judged_by(clocks: tuple[ClockReading, ...]) -> ClockReading | None:
    """Return the reading to judge by: the broker's present time, else what shows most that we are behind.

    A timestamp in the past says nothing: the broker's clock may show any later time.
    """
    for reading in clocks:
        if reading.is_present:
            return reading
    later = [reading for reading in clocks if reading.theirs > reading.ours]
    by_broker = [reading for reading in later if reading.source == BROKERS_RECORD]
    return max(by_broker or later, key=lambda reading: reading.theirs - reading.ours, default=None)


def stamps_by_broker(facts: TopicFacts) -> bool:
    """Return whether the time of a message is that of its arrival."""
    return (facts.settings or {}).get("message.timestamp.type") == "LogAppendTime"


def _timestamp_limit(facts: TopicFacts, side: str) -> tuple[str, int | None]:
    """Return the setting that limits timestamps `before` or `after` the broker's time, and its value (ms)."""
    for name in (f"message.timestamp.{side}.max.ms", "message.timestamp.difference.max.ms"):
        value = facts.number(name)
        if value is not None:
            return name, value
    return "", None


def duration(milliseconds: int) -> str:
    """Return a length of time in the largest unit that it has at least two of.

    >>> duration(90_000), duration(7 * 86_400_000), duration(500)
    ('90 seconds', '7 days', '500 ms')
    """
    for unit, name in ((86_400_000, "day"), (3_600_000, "hour"), (60_000, "minute"), (1_000, "second")):
        if milliseconds >= 2 * unit or milliseconds == unit:
            return counted(milliseconds // unit, name)
    return f"{milliseconds} ms"


def size(n_bytes: int) -> str:
    """Return a number of bytes in a unit that suits it.

    >>> size(2048), size(5 << 30)
    ('2 KiB', '5 GiB')
    """
    for unit, name in ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")):
        if n_bytes >= unit:
            return f"{n_bytes / unit:.3g} {name}"
    return counted(n_bytes, "byte")


def instant(milliseconds: int) -> str:
    """Return a time as UTC.

    >>> instant(0)
    '1970-01-01 00:00:00 UTC'
    """
    return datetime.fromtimestamp(milliseconds / 1000, timezone.utc).strftime("%Y-%m-%d %H:%M:%S UTC")
