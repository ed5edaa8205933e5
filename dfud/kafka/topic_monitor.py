"""Looking at a topic from time to time while it is uploaded to; nothing here waits for a broker."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future
from functools import partial
from typing import Any, Optional

from confluent_kafka import KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec
from confluent_kafka.admin._config import ConfigResource
from confluent_kafka.admin._resource import ResourceType

from dfud.kafka.admin import make_admin_client
from dfud.kafka.asking import ask
from dfud.kafka.broker_errors import is_unanswered
from dfud.kafka.probe import reason_of
from dfud.kafka.quorum_clock import quorum_clock
from dfud.kafka.topic_changes import Change, Offsets, changes, early_deletions
from dfud.kafka.topic_facts import ClockReading, Finding, Partition, Severity, TopicFacts
from dfud.kafka.topic_look import operations_of, settings_of
from dfud.kafka.topic_rules import RULES, UploadNeeds, upload_findings
from dfud.kafka.topic_watch import topic_id_of

LOOK_INTERVAL_S = 10.0
_CLOCK_INTERVAL_S = 30.0
_ANSWER_TIMEOUT_S = 20.0

AdminFactory = Callable[[Mapping[str, Any]], AdminClient]
ClockAnswer = Future[Optional[ClockReading]]


def ask_clock(address: str, properties: Mapping[str, Any]) -> ClockAnswer:
    """Return the answer to come of the broker at "host:port"."""
    return ask(partial(quorum_clock, address, properties))


class TopicMonitor:
    """Responsible for noticing what changes about a topic, by one small request each of a few kinds at a time."""

    def __init__(
        self,
        known: TopicFacts,
        needs: UploadNeeds,
        properties: Mapping[str, Any],
        now: float,
        admin_factory: AdminFactory = make_admin_client,
        interval_s: float = LOOK_INTERVAL_S,
        ask_clock: Callable[[str, Mapping[str, Any]], ClockAnswer] = ask_clock,
    ) -> None:
        """Compare with what is `known` already, from `now` (s, monotonic) on; judge it by the `needs`."""
        self._known = known
        self._needs = needs
        self._ask_clock = ask_clock
        self._clock_answer: ClockAnswer | None = None
        self._next_clock_question = now
        self.findings: tuple[Finding, ...] = ()  # what is wrong with the topic now
        self._properties = properties
        self._admin_factory = admin_factory
        self._admin: AdminClient | None = None
        self._interval_s = interval_s
        self.due_at = now  # s, monotonic
        self._pending: list[Future[Any]] = []  # description and settings, then an offset of each partition
        self._ends: dict[int, int] | None = None  # by partition, at the first look
        self._ends_since = now
        self._has_reported_deletions = False
        self.silence = ""  # why the last question was not answered; empty if it was

    def check(self, now: float) -> list[Change]:
        """Return what has changed, as far as the answers are there; ask if that is due."""
        if now < self.due_at:
            return []
        if self._pending and not all(future.done() for future in self._pending):
            self.due_at = now + 1.0
            return []
        self.due_at = now + self._interval_s
        if self._pending:
            pending, self._pending = self._pending, []
            return self._compare(pending, now)
        self._ask()
        self.due_at = now + 1.0
        return []

    def _ask(self) -> None:
        if self._admin is None:
            self._admin = self._admin_factory(self._properties)
        admin, topic = self._admin, self._known.topic
        admin.poll(0)
        resource = ConfigResource(ResourceType.TOPIC, topic)
        timeout = {"request_timeout": _ANSWER_TIMEOUT_S}
        described = admin.describe_topics(TopicCollection([topic]), include_authorized_operations=True, **timeout)
        configured = admin.describe_configs([resource], **timeout)
        make_spec: Callable[[], OffsetSpec] = OffsetSpec.latest if self._ends is None else OffsetSpec.earliest
        spec = make_spec()
        partitions = [TopicPartition(topic, number) for number in range(len(self._known.partitions))]
        offsets = admin.list_offsets(dict.fromkeys(partitions, spec), **timeout)
        self._pending = [described[topic], configured[resource], *(offsets[each] for each in partitions)]

    def _compare(self, answers: list[Future[Any]], now: float) -> list[Change]:
        described, configured, *offsets = answers
        error = described.exception()
        self.silence = ""
        if isinstance(error, KafkaException) and is_unanswered(error.args[0]):
            self.silence = f"no answer within {_ANSWER_TIMEOUT_S:.0f} s"
            return []
        if error is not None:  # whoever sends notices, too
            reason = reason_of(error) if isinstance(error, KafkaException) else str(error)
            self.findings = (Finding(Severity.REFUSAL, f"topic {self._known.topic}: {reason}"),)
            return []
        topic = described.result()
        partitions = tuple(
            Partition(-1 if each.leader is None else each.leader.id, len(each.replicas), len(each.isr))
            for each in topic.partitions
        )
        settings = self._known.settings
        if configured.exception() is None:
            settings = settings_of(configured.result())
        facts = self._known._replace(
            topic_id=topic_id_of(topic) or self._known.topic_id,
            partitions=partitions,
            settings=settings,
            operations=operations_of(topic) or self._known.operations,
            clocks=self._clocks(topic, now),
        )
        found = [*changes(self._known, facts), *self._judge(facts)]
        if any(change.new_topic_id for change in found):
            self._ends = None
        else:
            found += self._deletions(facts, _numbered(offsets), now)
        self._known = facts
        return found

    def _clocks(self, topic: Any, now: float) -> tuple[ClockReading, ...]:
        """Return the latest reading of Kafka's clock; ask for the next one if that is due."""
        answer = self._clock_answer
        if now >= self._next_clock_question:
            self._next_clock_question = now + _CLOCK_INTERVAL_S
            leader = next((each.leader for each in topic.partitions if each.leader is not None), None)
            if leader is not None:
                self._clock_answer = self._ask_clock(f"{leader.host}:{leader.port}", self._properties)
        reading = answer.result() if answer is not None and answer.done() else None
        return self._known.clocks if reading is None else (reading,)

    def _judge(self, facts: TopicFacts) -> Iterator[Change]:
        """Find out what is wrong with the topic now; yield what is wrong with the clocks if that is new."""
        findings = upload_findings(facts, self._needs)
        self.findings = tuple(finding for finding in findings if finding.severity >= Severity.WARNING)
        check = RULES["clock"]
        if not list(check(self._known, self._needs)):
            for finding in check(facts, self._needs):
                yield Change(logging.WARNING, finding.text)

    def _deletions(self, facts: TopicFacts, offsets: dict[int, int], now: float) -> Iterable[Change]:
        if self._ends is None:
            self._ends, self._ends_since = offsets, now
            return []
        if self._has_reported_deletions:
            return []
        found = list(early_deletions(facts, Offsets(self._ends, offsets, now - self._ends_since)))
        self._has_reported_deletions = bool(found)
        return found


def _numbered(futures: list[Future[Any]]) -> dict[int, int]:
    """Return the offsets that are known, by partition."""
    offsets = {}
    for number, future in enumerate(futures):
        error = future.exception()
        if error is None:
            offsets[number] = future.result().offset
        elif not isinstance(error, KafkaException):
            raise error
    return offsets
