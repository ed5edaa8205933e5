"""How far a topic reaches beyond what can be read: an open transaction hides what was sent after its beginning."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import TimeoutError as FutureTimeoutError

from confluent_kafka import IsolationLevel, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from dfud.messages import Gap

_ANSWER_TIMEOUT_S = 15.0


def hidden_gaps(ends: Mapping[int, int], written: Mapping[int, int], advice: str = "") -> list[Gap]:
    """Return what lies between the `ends` of what can be read and `written_ends`, which was asked before."""
    return [
        Gap("", number, ends[number], end - 1, "hidden", advice)
        for number, end in written.items()
        if number in ends and ends[number] < end
    ]


def written_ends(admin: AdminClient, topic: str, numbers: Iterable[int]) -> dict[int, int]:
    """Return the offset of the next message to arrive by partition, open transactions included.

    What a consumer may read ends there, or before the first open transaction: asked for afterwards, that end is
    the smaller one only if there is such a transaction. A partition is left out if the broker does not say.
    """
    latest = OffsetSpec.latest()  # type: ignore[no-untyped-call]
    asked = {TopicPartition(topic, number): latest for number in numbers}
    ends = {}
    try:
        futures = admin.list_offsets(asked, isolation_level=IsolationLevel.READ_UNCOMMITTED)
        for partition, future in futures.items():
            ends[partition.partition] = future.result(_ANSWER_TIMEOUT_S).offset
    except (KafkaException, FutureTimeoutError):
        pass
    return ends
