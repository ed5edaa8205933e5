"""What changes about a topic during an upload, and how that is noticed without waiting."""

from __future__ import annotations

import logging
from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any, cast

import pytest
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin._acl import AclOperation

from dfud.kafka.topic_changes import Offsets, changes, early_deletions
from dfud.kafka.topic_facts import ClockReading, Partition, TopicFacts
from dfud.kafka.topic_monitor import TopicMonitor
from dfud.kafka.topic_rules import UploadNeeds

SETTINGS = {"cleanup.policy": "delete", "retention.ms": "604800000", "retention.bytes": "-1"}
NEEDS = UploadNeeds(16384)
FACTS = TopicFacts("t", "id", (Partition(1, 1, 1),), SETTINGS, frozenset(["WRITE"]))


def with_setting(name: str, value: str) -> TopicFacts:
    return FACTS._replace(settings={**SETTINGS, name: value})


@pytest.mark.parametrize(
    ("after", "level", "words"),
    [
        (FACTS._replace(topic_id="other"), logging.ERROR, "made anew"),
        (FACTS._replace(partitions=FACTS.partitions * 2), logging.INFO, "1 more partition, 2 in all"),
        (FACTS._replace(operations=frozenset(["READ"])), logging.WARNING, "grant the operation Write"),
        (with_setting("cleanup.policy", "compact,delete"), logging.ERROR, "cleanup.policy to delete"),
        (with_setting("retention.ms", "60000"), logging.WARNING, "it now keeps 1 minute of messages"),
        (with_setting("retention.bytes", "1048576"), logging.WARNING, "it now keeps 1 MiB of messages"),
    ],
)
def test_each_change_is_one_line(after: TopicFacts, level: int, words: str) -> None:
    (change,) = changes(FACTS, after)
    assert change.level == level
    assert words in change.text
    assert change.new_topic_id == ("other" if after.topic_id == "other" else "")


@pytest.mark.parametrize(
    "after",
    [
        FACTS,
        FACTS._replace(topic_id=""),  # a broker that does not say
        with_setting("retention.ms", "-1"),
        FACTS._replace(partitions=(Partition(2, 1, 1),)),
    ],
)
def test_what_is_no_change_for_the_worse(after: TopicFacts) -> None:
    assert list(changes(FACTS, after)) == []


@pytest.mark.parametrize(
    ("facts", "start", "seconds", "number"),
    [
        (FACTS, 10, 60, 0),  # older messages than those of this run
        (FACTS, 13, 60, 3),
        (FACTS, 13, 604_801, 0),  # they were old enough
        (with_setting("retention.ms", "-1"), 13, 604_801, 3),
        (with_setting("retention.bytes", "1000"), 13, 60, 0),  # the topic may be full
        (FACTS._replace(settings=None), 13, 60, 0),
    ],
)
def test_messages_that_are_gone_too_early(facts: TopicFacts, start: int, seconds: float, number: int) -> None:
    found = list(early_deletions(facts, Offsets({0: 10}, {0: start}, seconds)))
    assert bool(found) == bool(number)
    assert all(f"{number} messages" in change.text for change in found)


class FakeAdmin:
    """Answers when the test wants it to."""

    def __init__(self) -> None:
        self.futures: list[Future[Any]] = []
        self.topic_id = "id"
        self.offset = 0
        self.operation = AclOperation.WRITE

    def __call__(self, _properties: dict[str, Any]) -> FakeAdmin:
        return self

    def poll(self, timeout: float) -> None:
        assert timeout == 0

    def _future(self) -> Future[Any]:
        self.futures.append(Future())
        return self.futures[-1]

    def describe_topics(self, topics: Any, **_: Any) -> dict[str, Future[Any]]:
        return {name: self._future() for name in topics.topic_names}

    def describe_configs(self, resources: list[Any], **_: Any) -> dict[Any, Future[Any]]:
        return {resource: self._future() for resource in resources}

    def list_offsets(self, partitions: dict[Any, Any], **_: Any) -> dict[Any, Future[Any]]:
        return {partition: self._future() for partition in partitions}

    def answer(self) -> None:
        described, configured, offset = self.futures
        self.futures = []
        partition = SimpleNamespace(leader=SimpleNamespace(id=1, host="here", port=9092), replicas=[1], isr=[1])
        described.set_result(
            SimpleNamespace(topic_id=self.topic_id, partitions=[partition], authorized_operations=[self.operation])
        )
        configured.set_result({name: SimpleNamespace(value=value) for name, value in SETTINGS.items()})
        offset.set_result(SimpleNamespace(offset=self.offset))

    def fail(self, code: int = KafkaError._TIMED_OUT) -> None:
        for future in self.futures:
            future.set_exception(KafkaException(KafkaError(code)))
        self.futures = []


class FakeClocks:
    """Answers at once."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.reading: ClockReading | None = None

    def __call__(self, address: str, _properties: dict[str, Any]) -> FakeClocks:
        self.asked.append(address)
        return self

    def done(self) -> bool:
        return True

    def result(self) -> ClockReading | None:
        return self.reading


def test_it_looks_from_time_to_time_and_never_waits() -> None:
    admin = FakeAdmin()
    clocks = FakeClocks()
    monitor = TopicMonitor(FACTS, NEEDS, {}, 100.0, cast("Any", admin), 10.0, cast("Any", clocks))
    assert monitor.check(100.0) == []
    assert len(admin.futures) == 3
    for now in (101.0, 102.0, 103.0):  # no answer yet
        assert monitor.check(now) == []
        assert len(admin.futures) == 3
    admin.answer()
    assert monitor.check(104.0) == []
    assert monitor.due_at == 114.0
    assert monitor.check(113.0) == []
    assert admin.futures == []
    monitor.check(114.0)
    admin.fail()  # the broker is away
    assert monitor.check(115.0) == []
    assert monitor.silence == "no answer within 20 s"
    monitor.check(125.0)
    admin.offset = 4
    admin.answer()
    (change,) = monitor.check(126.0)
    assert monitor.silence == ""
    assert "4 messages of the last 22 seconds are no longer on topic t" in change.text
    monitor.check(136.0)
    admin.topic_id = "other"
    admin.answer()
    (change,) = monitor.check(137.0)
    assert change.new_topic_id == "other"
    monitor.check(147.0)
    admin.answer()
    assert monitor.check(148.0) == []  # once


def test_what_is_wrong_now_is_known_until_it_is_mended() -> None:
    admin, clocks = FakeAdmin(), FakeClocks()
    monitor = TopicMonitor(FACTS, NEEDS, {}, 100.0, cast("Any", admin), 10.0, cast("Any", clocks))

    def look() -> list[str]:
        """Ask, and take the answer; return what is wrong."""
        while not admin.futures:
            logged.extend(change.text for change in monitor.check(monitor.due_at))
        answer()
        logged.extend(change.text for change in monitor.check(monitor.due_at))
        return [finding.text for finding in monitor.findings]

    logged: list[str] = []
    answer: Any = admin.answer
    assert look() == []
    assert clocks.asked == ["here:9092"]
    admin.operation = AclOperation.READ
    assert ["do not allow this user to write" in text for text in look()] == [True]
    admin.operation = AclOperation.WRITE
    clocks.reading = ClockReading(0, 300_000, True, "the clock of Kafka")
    assert ["5 minutes ahead" in text for text in look()] == [True]
    assert len(clocks.asked) == 1
    look()
    assert len(clocks.asked) == 2, "every 30 s"
    clocks.reading = ClockReading(0, 0, True, "the clock of Kafka")
    assert look() == []
    assert ["ahead" in text for text in logged] == [False, True], "once each"
    answer = lambda: admin.fail(KafkaError.UNKNOWN_TOPIC_OR_PART)  # noqa: E731
    assert look() == ["topic t: Broker: Unknown topic or partition"]
    answer = admin.answer
    assert look() == []
