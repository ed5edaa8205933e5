"""What there is to read of a topic, and what of it cannot be read: asked before a verification."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from confluent_kafka import Consumer

from dfud.kafka.open_ends import hidden_gaps, written_ends
from dfud.kafka.read_access import check_read_access
from dfud.kafka.topic_probe import OnWait, TopicProbe
from dfud.kafka.topic_watch import topic_state
from dfud.kafka.watermarks import ask_partitions
from dfud.messages import Gap


class Survey(NamedTuple):
    """The partitions of a topic."""

    topic_id: str  # "" if the broker does not say
    offsets: dict[int, tuple[int, int]]  # by partition: of the first message, and of the next one to arrive
    gaps: list[Gap]


def survey(on_wait: OnWait | None, topic: str, properties: Mapping[str, Any], config_path: str) -> Survey:
    """Return what there is to read of a topic; UsageError if it cannot be accessed or read.

    With `on_wait`, this waits for a broker as long as it takes. The calling process must not fork afterwards.
    """
    probe = TopicProbe(Consumer, topic, properties, config_path, on_wait)
    numbers = ask_partitions(probe, with_committed=False)
    check_read_access(probe, None)
    topic_id = probe.ask(lambda _: topic_state(probe.admin, topic)).topic_id
    written = written_ends(probe.admin, topic, numbers)
    partitions = ask_partitions(probe, with_committed=False)  # after `written_ends`, as it says
    gaps = [
        Gap("", number, 0, each.start - 1, "deleted", "") for number, each in partitions.items() if each.start > 0
    ]
    ends = {number: each.end for number, each in partitions.items()}
    gaps += hidden_gaps(ends, written, "verify again then")
    return Survey(topic_id, {number: (each.start, each.end) for number, each in partitions.items()}, gaps)
