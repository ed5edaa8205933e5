"""A client that knows one topic, in the place of confluent_kafka's producers and consumers."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from confluent_kafka import KafkaError, KafkaException, TopicPartition

TOPIC = "scans"
UNKNOWN = KafkaError(KafkaError.UNKNOWN_TOPIC_OR_PART, "unknown topic")


class FakeClient:
    """Answers from `offsets`: by partition, the first, the next and the committed one.

    `answers` come before that to the first questions: errors of the topic, or exceptions to be raised.
    """

    def __init__(
        self, offsets: dict[int, tuple[int, int, int]], answers: list[KafkaError | KafkaException] | None = None
    ) -> None:
        self.offsets = offsets
        self.answers = answers or []
        self.properties: dict[str, Any] = {}
        self.polls = 0

    def __call__(self, properties: dict[str, Any]) -> FakeClient:
        """Be made with `properties`."""
        self.properties = properties
        return self

    def report(self, error: KafkaError) -> None:
        """Report an error of the client."""
        on_error: Callable[[KafkaError], None] = self.properties["error_cb"]
        on_error(error)

    def list_topics(self, topic: str, timeout: float) -> Any:
        assert timeout > 0
        answer = self.answers.pop(0) if self.answers else None
        if isinstance(answer, KafkaException):
            raise answer
        partition = SimpleNamespace(leader=1, replicas=[1], isrs=[1])
        partitions = {} if answer is not None else dict.fromkeys(self.offsets, partition)
        return SimpleNamespace(brokers={}, topics={topic: SimpleNamespace(error=answer, partitions=partitions)})

    def get_watermark_offsets(self, partition: TopicPartition, timeout: float) -> tuple[int, int]:
        assert timeout > 0
        return self.offsets[partition.partition][:2]

    def committed(self, partitions: list[TopicPartition], timeout: float) -> list[TopicPartition]:
        assert timeout > 0
        return [TopicPartition(p.topic, p.partition, self.offsets[p.partition][2]) for p in partitions]

    def poll(self, timeout: float) -> None:
        assert timeout == 0, "errors are taken without waiting"
        self.polls += 1
