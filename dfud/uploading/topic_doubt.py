"""Asking which topic it is that acknowledges what the topic before it cannot have acknowledged."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from confluent_kafka import KafkaException

from dfud.kafka.topic_changes import made_anew
from dfud.kafka.topic_watch import TopicWatch
from dfud.messages import TopicHarmed
from dfud.uploading.offset_proof import OffsetProofs

ASK_INTERVAL_S = 0.05  # between looks whether the broker has answered


class TopicDoubt:
    """Finds out whether a topic is still the one that is known; nothing here waits for a broker."""

    def __init__(self, topic: str, known_id: str, properties: Mapping[str, Any]) -> None:
        """`known_id` is "" if the broker does not say ids: then a doubt is taken for the truth."""
        self._topic = topic
        self._known_id = known_id
        self._properties = properties
        self._watch: TopicWatch | None = None

    def settle(self, proofs: OffsetProofs) -> TopicHarmed | None:
        """Return what to report if it is another topic; let `proofs` go on if it is the same."""
        if self._watch is None:
            self._watch = TopicWatch(self._properties, self._topic)
        try:
            state = self._watch.poll()
        except KafkaException:
            return None
        if state is None or not state.partitions:
            return None
        self._watch = None
        if self._known_id and state.topic_id == self._known_id:
            proofs.trust()
            return None
        return TopicHarmed(made_anew(self._topic), True, state.topic_id)
