"""Committing offsets to the consumer group."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from dfud.kafka.group_errors import IN_USE, explain

_POLL_INTERVAL_S = 0.005  # at its end the answers that have come are looked at


class Position(NamedTuple):
    """Before which offset everything is read, of which topic: one that is made anew begins again."""

    topic_id: str  # "" if the broker does not say
    offset: int
    metadata: str = ""  # to be written beside the offset; by default the topic's id


class OffsetCommitter:
    """Responsible for commits that the broker has not answered yet, and for whether commits succeed."""

    def __init__(
        self,
        consumer: Consumer,
        topic: str,
        group: str,
        on_change: Callable[[str], None],
        is_member: bool = False,
        mark: str = "",
    ) -> None:
        """Call `on_change` with the reason when commits fail, and with "" when they succeed again.

        `on_commit` has to be the consumer's callback of that name. While the group of a consumer that `is_member`
        divides the partitions anew, it accepts no commits: that is no failure. `mark` is appended to all metadata.
        """
        self._consumer = consumer
        self._topic = topic
        self._group = group
        self._on_change = on_change
        self._unanswered = 0
        self._is_member = is_member
        self._mark = mark
        self.failure = ""  # why the last commit failed
        self.was_rebalancing = False  # the group did not accept the last commit, but will accept another

    def commit(self, positions: Mapping[int, Position]) -> None:
        """Start to commit positions by partition, each with its metadata."""
        try:
            self._consumer.commit(offsets=self._offsets(positions), asynchronous=True)
        except KafkaException as error:
            self._set_failure(explain(error.args[0], self._group))
        else:
            self._unanswered += 1

    def commit_now(self, positions: Mapping[int, Position]) -> None:
        """Commit positions before this returns; no callback of the consumer is called meanwhile."""
        try:
            if positions:
                self._consumer.commit(offsets=self._offsets(positions), asynchronous=False)
            self._set_failure("")
        except KafkaException as error:
            self._set_failure(explain(error.args[0], self._group))

    def on_commit(self, error: KafkaError | None, offsets: Iterable[TopicPartition]) -> None:
        """Handle the broker's answer to a commit."""
        self._unanswered = max(0, self._unanswered - 1)
        errors = [each for each in (error, *(each.error for each in offsets)) if each is not None]
        self.was_rebalancing = self._is_member and any(each.code() in IN_USE for each in errors)
        if not self.was_rebalancing:
            self._set_failure(explain(errors[0], self._group) if errors else "")

    def wait(self, timeout_s: float) -> None:
        """Wait until all commits are answered; one that is not counts as failed."""
        deadline = time.monotonic() + timeout_s
        while self._unanswered and time.monotonic() < deadline:
            self._consumer.poll(_POLL_INTERVAL_S)
        if self._unanswered:
            self.failure = self.failure or "the broker did not answer"

    def _offsets(self, positions: Mapping[int, Position]) -> list[TopicPartition]:
        return [
            TopicPartition(self._topic, number, offset, (metadata or topic_id) + self._mark)
            for number, (topic_id, offset, metadata) in positions.items()
        ]

    def _set_failure(self, reason: str) -> None:
        if reason != self.failure:
            self.failure = reason
            self._on_change(reason)
