"""What the doctor says of what brokers have answered."""

from __future__ import annotations

import time

from dfud.doctor.diagnosis import Level, warning
from dfud.doctor.other_topics import judge_other_topic
from dfud.doctor.topic import check_topic, judge
from dfud.kafka.config import ClientConfig
from dfud.kafka.topic import TopicLook
from dfud.kafka.topic_facts import ClockReading, Partition, TopicFacts
from dfud.kafka.topic_rules import UploadNeeds
from tests.helpers.doctoring import levels, options_for

SETTINGS = {"cleanup.policy": "delete", "retention.ms": "604800000", "min.insync.replicas": "2"}
CLOCK = ClockReading(1_000_000, 1_000_500, True, "the clock of Kafka")
FACTS = TopicFacts("T", "id", (Partition(1, 3, 3),) * 4, SETTINGS, frozenset(["WRITE"]), (CLOCK,))
NEEDS = UploadNeeds(16384)


def test_a_topic_without_a_flaw_is_described() -> None:
    diagnoses = list(judge("T", TopicLook(FACTS, "kafka:9092"), NEEDS))
    assert levels(diagnoses) == dict.fromkeys(["broker", "rights", "topic", "clock"], Level.FINE)
    texts = [each.text for each in diagnoses]
    assert "topic T has 4 partitions of 3 replicas, and keeps messages for 7 days" in texts
    assert "it agrees with Kafka's within 500 ms" in texts


def test_each_flaw_has_its_subject() -> None:
    facts = FACTS._replace(
        operations=frozenset(["DESCRIBE"]),
        settings={**SETTINGS, "retention.ms": "1000"},
        clocks=(CLOCK._replace(ours=9_000_000),),
    )
    found = levels(judge("T", TopicLook(facts, "kafka:9092"), NEEDS))
    assert found == {
        "broker": Level.FINE, "rights": Level.STOPS, "topic": Level.WARNING, "clock": Level.WARNING,
    }  # fmt: skip


def test_what_the_broker_does_not_say_is_told() -> None:
    facts = FACTS._replace(operations=None, settings=None, clocks=(), unseen="not allowed")
    texts = [each.text for each in judge("T", TopicLook(facts, "kafka:9092"), NEEDS)]
    assert any("only an upload finds out" in text for text in texts)
    assert any("keeps messages for a time that is not known" in text for text in texts)
    assert any("no broker says its time" in text for text in texts)


def test_a_topic_that_would_be_created_is_a_warning() -> None:
    diagnoses = list(judge("T", TopicLook(None, "kafka:9092"), NEEDS))
    assert levels(diagnoses) == {"broker": Level.FINE, "topic": Level.WARNING}


def test_a_topic_for_canaries_or_announcements_has_to_be_writable_if_it_exists() -> None:
    absent = warning("log", "it does not exist")
    assert judge_other_topic("log", "T", None, absent) is absent
    assert judge_other_topic("log", "T", FACTS, absent).level is Level.FINE
    assert judge_other_topic("log", "T", FACTS._replace(operations=None), absent).level is Level.FINE
    facts = FACTS._replace(operations=frozenset(["DESCRIBE"]))
    forbidden = judge_other_topic("log", "T", facts, absent)
    assert (forbidden.level, "grant the operation Write" in forbidden.text) == (Level.WARNING, True)


def test_a_broker_that_never_answers_is_not_waited_for_long() -> None:
    config = ClientConfig("the.config", {"bootstrap.servers": "127.0.0.1:1"})
    began = time.monotonic()
    stopped, unknown = check_topic(options_for("/"), config, timeout_s=60.0, waits=False)
    assert time.monotonic() - began < 60
    assert (stopped.level, unknown.level) == (Level.STOPS, Level.SKIPPED)
    assert "127.0.0.1:1 (bootstrap.servers in the.config): 127.0.0.1:1: Connection refused; check" in stopped.text
    stopped, _ = check_topic(options_for("/"), config, timeout_s=0.0, waits=True)
    assert stopped.text.startswith("no broker reached at 127.0.0.1:1: no answer; check bootstrap.servers")


def test_properties_that_no_chunk_fits_into_stop_an_upload() -> None:
    config = ClientConfig("the.config", {"bootstrap.servers": "127.0.0.1:1", "message.max.bytes": "2000"})
    stopped, _ = check_topic(options_for("/"), config, timeout_s=60.0, waits=False)
    assert stopped.subject == "configuration"
    assert "message.max.bytes = 2000 in the.config is too small for --chunk_size 16384" in stopped.text
