"""What the settings and the state of a topic mean for an upload."""

from __future__ import annotations

import pytest

from dfud.kafka.topic_facts import ClockReading, Partition, Severity, TopicFacts
from dfud.kafka.topic_rules import BROKERS_RECORD, UploadNeeds, upload_findings

NOW, DAY = 1_800_000_000_000, 86_400_000
SETTINGS = {
    "cleanup.policy": "delete",
    "max.message.bytes": "1048588",
    "message.timestamp.after.max.ms": "3600000",
    "message.timestamp.before.max.ms": "9223372036854775807",
    "message.timestamp.type": "CreateTime",
    "min.insync.replicas": "2",
    "retention.bytes": "-1",
    "retention.ms": str(7 * DAY),
    "segment.bytes": "1073741824",
    "unclean.leader.election.enable": "false",
}
FACTS = TopicFacts("t", "id", (Partition(1, 3, 3), Partition(2, 3, 3)), SETTINGS, frozenset(["WRITE"]))
NEEDS = UploadNeeds(16384)

REFUSAL, WARNING, NOTE = Severity.REFUSAL, Severity.WARNING, Severity.NOTE


def with_setting(name: str, value: object) -> TopicFacts:
    return FACTS._replace(settings={**SETTINGS, name: str(value)})


def replicas(number: int, in_sync: int, required: int) -> TopicFacts:
    return with_setting("min.insync.replicas", required)._replace(partitions=(Partition(1, number, in_sync),) * 2)


def clock(behind_ms: int, is_present: bool = True, source: str = "the broker's clock") -> ClockReading:
    return ClockReading(NOW, NOW - behind_ms, is_present, source)


def test_nothing_is_said_about_a_topic_without_flaws() -> None:
    assert upload_findings(FACTS, NEEDS) == []
    assert upload_findings(FACTS._replace(operations=None), NEEDS) == []


@pytest.mark.parametrize(
    ("facts", "severity", "words"),
    [
        (with_setting("cleanup.policy", "compact"), REFUSAL, "cleanup.policy to delete"),
        (with_setting("cleanup.policy", "compact, delete"), REFUSAL, "cleanup.policy = compact,delete"),
        (with_setting("max.message.bytes", 16384), REFUSAL, "set the topic's max.message.bytes to 17408 or more"),
        (with_setting("segment.bytes", 16000), REFUSAL, "set the topic's segment.bytes to 17408 or more"),
        (FACTS._replace(operations=frozenset(["READ"])), REFUSAL, "grant the operation Write"),
        (FACTS._replace(settings=None, unseen="no right"), WARNING, "cannot be looked at (no right)"),
        (with_setting("retention.ms", DAY - 1), WARNING, "older than 23 hours; raise the topic's retention.ms"),
        (with_setting("retention.ms", 500), WARNING, "older than 500 ms"),
        (with_setting("retention.bytes", 1 << 20), WARNING, "2 partitions of that size hold about 2 MiB"),
        (replicas(1, 1, 2), REFUSAL, "set the topic's min.insync.replicas to 1"),
        (replicas(3, 1, 2), WARNING, "2 of the 2 partitions of topic t have fewer replicas in sync"),
        (replicas(3, 3, 1), WARNING, "set the topic's min.insync.replicas to 2"),
        (replicas(1, 1, 1), NOTE, "replication factor of 1"),
        (with_setting("unclean.leader.election.enable", "true"), WARNING, "set it to false"),
        (with_setting("message.timestamp.type", "LogAppendTime"), NOTE, "LogAppendTime"),
        (with_setting("message.timestamp.before.max.ms", 60_000), WARNING, "before.max.ms = 60000"),
    ],
)
def test_each_flaw_is_one_line_with_the_setting(facts: TopicFacts, severity: Severity, words: str) -> None:
    (finding,) = upload_findings(facts, NEEDS)
    assert finding.severity is severity
    assert words in finding.text
    assert "topic t" in finding.text


@pytest.mark.parametrize(
    "facts",
    [
        with_setting("retention.ms", -1),
        with_setting("retention.ms", DAY),
        with_setting("retention.bytes", 100 << 30),
        FACTS._replace(settings={**SETTINGS, "cleanup.policy": "", "retention.ms": "1"}),
        FACTS._replace(clocks=(clock(59_000),)),
        FACTS._replace(clocks=(clock(-59_000),)),
        FACTS._replace(clocks=(clock(-90 * DAY, False, "the last message on the topic"),)),  # an old message
        with_setting("message.timestamp.after.max.ms", 2**63 - 1),
    ],
)
def test_what_is_in_order(facts: TopicFacts) -> None:
    assert upload_findings(facts, NEEDS) == []


def test_replicas_do_not_matter_if_the_user_wants_fewer_acknowledgements() -> None:
    findings = upload_findings(replicas(1, 1, 2), NEEDS._replace(wants_all_acks=False))
    assert [finding.severity for finding in findings] == [NOTE]


@pytest.mark.parametrize(
    ("reading", "severity", "words"),
    [
        (clock(8 * DAY), REFUSAL, "would delete all messages (retention.ms = 604800000); set the clocks"),
        (clock(2 * 3_600_000), WARNING, "2 hours behind"),
        (clock(-300_000), WARNING, "5 minutes ahead"),
        (clock(-3 * 3_600_000), REFUSAL, "would refuse all messages (message.timestamp.after.max.ms = 3600000)"),
        (clock(8 * DAY, False, BROKERS_RECORD), REFUSAL, "retention.ms = 604800000"),
        (
            clock(8 * DAY, False, "the last message on the topic"),
            WARNING,
            "unless that message was stamped by a wrong",
        ),
        (clock(120_000, False, "the last message on the topic"), WARNING, "2 minutes behind"),
    ],
)
def test_clocks(reading: ClockReading, severity: Severity, words: str) -> None:
    (finding,) = upload_findings(FACTS._replace(clocks=(reading,)), NEEDS)
    assert finding.severity is severity
    assert words in finding.text
    assert "2027-01-15 08:00:00 UTC" in finding.text
    assert finding.text.startswith("this machine's clock shows 202")


def test_a_clock_too_far_behind_for_the_topic() -> None:
    facts = with_setting("message.timestamp.difference.max.ms", DAY)
    settings = {name: value for name, value in (facts.settings or {}).items() if ".max.ms" not in name}
    settings["message.timestamp.difference.max.ms"] = str(DAY)
    (finding,) = upload_findings(facts._replace(settings=settings, clocks=(clock(2 * DAY),)), NEEDS)
    assert finding.severity is REFUSAL
    assert "would refuse all messages (message.timestamp.difference.max.ms = 86400000)" in finding.text


def test_clocks_do_not_matter_if_brokers_stamp_the_messages() -> None:
    facts = with_setting("message.timestamp.type", "LogAppendTime")._replace(clocks=(clock(8 * DAY),))
    assert [finding.severity for finding in upload_findings(facts, NEEDS)] == [NOTE]


def test_a_broker_is_believed_before_a_message() -> None:
    by_message = ClockReading(NOW + 90 * DAY, NOW, False, "the last message on the topic")
    assert upload_findings(FACTS._replace(clocks=(by_message, clock(0))), NEEDS) == []


def test_the_most_severe_comes_first() -> None:
    facts = with_setting("cleanup.policy", "compact,delete")
    facts = facts._replace(settings={**(facts.settings or {}), "retention.ms": "1"})
    assert [finding.severity for finding in upload_findings(facts, NEEDS)] == [REFUSAL, WARNING]
