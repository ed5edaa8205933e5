"""How much of each topic its receivers have not read yet: by the offsets that they have committed.

What it costs depends on the number of partitions and of consumer groups, not on what is on the topics.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import NamedTuple

from confluent_kafka import KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from dfud.fleet.receivers import About, Lag
from dfud.kafka.topic_watch import topic_id_of
from dfud.lagging.positions import CommittedOffsets

_ANSWER_TIMEOUT_S = 10.0
_MAX_AT_ONCE = 500  # topics that are asked for


class Lags(NamedTuple):
    """What is known of lags."""

    of: Mapping[About, Lag]  # receivers whose offsets are not known are left out
    trouble: str = ""  # why none are


class _Topic(NamedTuple):
    topic_id: str
    ends: dict[int, tuple[int, int]]  # by partition: the first offset, and the next to arrive


def ask_lags(admin: AdminClient, receivers: Collection[About]) -> Lags:
    """Return how far these receivers are behind. Topics and groups that this user may not see are left out."""
    committed = CommittedOffsets(admin)
    if committed.trouble:
        return Lags({}, committed.trouble)
    names = sorted({topic for topic, _ in receivers})
    topics: dict[str, _Topic] = {}
    for at in range(0, len(names), _MAX_AT_ONCE):
        topics.update(_topics(admin, names[at : at + _MAX_AT_ONCE]))
    found = {}
    for name, receiver in receivers:
        topic = topics.get(name)
        positions = None if topic is None else committed.of(name, topic.topic_id, receiver)
        if topic is not None and positions is not None:
            found[name, receiver] = lag(topic.ends, positions)
    return Lags(found)


def lag(ends: dict[int, tuple[int, int]], positions: Mapping[int, int]) -> Lag:
    """Return how far somebody is behind who has everything before `positions`, by partition.

    A partition that was added, or that has no position yet, is still to be read from its beginning.
    """
    unread = lost = 0
    for number, (start, end) in ends.items():
        position = positions.get(number, 0)
        unread += max(0, end - max(start, position))
        lost += max(0, start - position)
    return Lag(unread, lost)


def _topics(admin: AdminClient, names: list[str]) -> Iterator[tuple[str, _Topic]]:
    described = admin.describe_topics(TopicCollection(names), request_timeout=_ANSWER_TIMEOUT_S)
    found = {}
    for name, answer in described.items():
        try:
            found[name] = answer.result(2 * _ANSWER_TIMEOUT_S)
        except (KafkaException, FutureTimeoutError):  # deleted, made up, or not for this user
            continue
    partitions = [
        TopicPartition(name, partition.id) for name, topic in found.items() for partition in topic.partitions
    ]
    starts = _offsets(admin, partitions, OffsetSpec.earliest())  # type: ignore[no-untyped-call]
    ends = _offsets(admin, partitions, OffsetSpec.latest())  # type: ignore[no-untyped-call]
    for name, topic in found.items():
        numbers = [partition.id for partition in topic.partitions if (name, partition.id) in ends]
        offsets = {each: (starts.get((name, each), 0), ends[name, each]) for each in numbers}
        yield name, _Topic(topic_id_of(topic), offsets)


def _offsets(
    admin: AdminClient, partitions: Iterable[TopicPartition], which: OffsetSpec
) -> dict[tuple[str, int], int]:
    found = {}
    asked = admin.list_offsets(dict.fromkeys(partitions, which), request_timeout=_ANSWER_TIMEOUT_S)
    for partition, answer in asked.items():
        try:
            found[partition.topic, partition.partition] = answer.result(2 * _ANSWER_TIMEOUT_S).offset
        except (KafkaException, FutureTimeoutError):  # it has no leader
            continue
    return found
