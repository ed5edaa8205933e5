"""Committing offsets to the consumer group."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

_POLL_INTERVAL_S = 0.05


class OffsetCommitter:
    """Responsible for commits that the broker has not answered yet, and for whether commits succeed."""

    def __init__(self, consumer: Consumer, topic: str, on_change: Callable[[str], None]) -> None:
        """Call `on_change` with the reason when commits fail, and with "" when they succeed again.

        `on_commit` has to be the consumer's callback of that name.
        """
        self._consumer = consumer
        self._topic = topic
        self._on_change = on_change
        self._unanswered = 0
        self.failure = ""  # why the last commit failed

    def commit(self, positions: dict[int, int]) -> None:
        """Start to commit offsets by partition."""
        offsets = [TopicPartition(self._topic, number, offset) for number, offset in positions.items()]
        try:
            self._consumer.commit(offsets=offsets, asynchronous=True)
        except KafkaException as error:
            self._set_failure(error.args[0].str())
        else:
            self._unanswered += 1

    def on_commit(self, error: KafkaError | None, offsets: Iterable[TopicPartition]) -> None:
        """Handle the broker's answer to a commit."""
        self._unanswered = max(0, self._unanswered - 1)
        errors = [error, *(each.error for each in offsets)]
        self._set_failure(next((each.str() for each in errors if each is not None), ""))

    def wait(self, timeout_s: float) -> None:
        """Wait until all commits are answered; one that is not counts as failed."""
        deadline = time.monotonic() + timeout_s
        while self._unanswered and time.monotonic() < deadline:
            self._consumer.poll(_POLL_INTERVAL_S)
        if self._unanswered:
            self.failure = self.failure or "the broker did not answer"

    def _set_failure(self, reason: str) -> None:
        if reason != self.failure:
            self.failure = reason
            self._on_change(reason)
