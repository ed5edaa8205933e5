"""Looking at a topic from time to time while it is uploaded to; nothing here waits for a broker."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from typing import Any

from confluent_kafka import KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec
from confluent_kafka.admin._config import ConfigResource
from confluent_kafka.admin._resource import ResourceType

from dfud.kafka.broker_errors import is_unanswered
from dfud.kafka.logger import silent_logger
from dfud.kafka.topic_changes import Change, Offsets, changes, early_deletions
from dfud.kafka.topic_facts import Partition, TopicFacts
from dfud.kafka.topic_look import operations_of, settings_of
from dfud.kafka.topic_watch import topic_id_of

LOOK_INTERVAL_S = 10.0
_ANSWER_TIMEOUT_S = 20.0

AdminFactory = Callable[[dict[str, Any]], AdminClient]


class TopicMonitor:
    """Responsible for noticing what changes about a topic, by one small request each of a few kinds at a time."""

    def __init__(
        self,
        known: TopicFacts,
        properties: Mapping[str, Any],
        now: float,
        admin_factory: AdminFactory = AdminClient,
        interval_s: float = LOOK_INTERVAL_S,
    ) -> None:
        """Compare with what is `known` already, from `now` (s, monotonic) on."""
        self._known = known
        self._properties = {**properties, "logger": silent_logger()}
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
        if error is not None:  # the broker is away, or the topic: whoever sends notices
            is_silence = isinstance(error, KafkaException) and is_unanswered(error.args[0])
            self.silence = f"no answer within {_ANSWER_TIMEOUT_S:.0f} s" if is_silence else ""
            return []
        self.silence = ""
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
        )
        found = list(changes(self._known, facts))
        if any(change.new_topic_id for change in found):
            self._ends = None
        else:
            found += self._deletions(facts, _numbered(offsets), now)
        self._known = facts
        return found

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
