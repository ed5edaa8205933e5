"""What a broker says of a topic that receivers read: a few small requests, and one message of each partition."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping
from concurrent.futures import Future
from itertools import chain
from typing import Any, NamedTuple

from confluent_kafka import Consumer, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec
from confluent_kafka.admin._config import ConfigResource
from confluent_kafka.admin._resource import ResourceType

from dfud.core.decode import headers_of, read_chunk
from dfud.kafka.broker_errors import is_unanswered
from dfud.kafka.topic_look import settings_of
from dfud.kafka.topic_probe import TopicProbe
from dfud.kafka.topic_watch import ABSENT, topic_state
from dfud.kafka.watermarks import ask_partitions
from dfud.lagging.retention import PartitionView, Retention

_ANSWER_TIMEOUT_S = 10.0
_READ_TIMEOUT_S = 5.0
_LATELY_S = 600.0  # over which the present rate is measured
_N_LAST = 50  # messages before the end of a partition: what is sampled there
_MAX_SAMPLED = 8  # partitions
_RECORD_OVERHEAD = 40  # bytes of a message on disk that are neither key nor value nor header, at most

SAMPLE_PROPERTIES: dict[str, Any] = {  # a few messages are wanted, wherever reading begins
    "enable.partition.eof": True,
    "auto.offset.reset": "earliest",
    "fetch.message.max.bytes": 1 << 16,
    "queued.min.messages": 1,
}


class Sample(NamedTuple):
    """One message."""

    partition: int
    offset: int
    time_s: float  # since 1970
    size: int  # bytes, as they are sent
    path: bytes  # of the file of which it has a chunk; b"" if it has none
    n_chunks: int  # of that file; 0 likewise


class TopicView(NamedTuple):
    """What is on a topic at one moment, and how long it stays."""

    topic_id: str  # of Kafka; "" if the broker does not say
    retention: Retention
    partitions: Mapping[int, PartitionView]
    samples: tuple[Sample, ...]  # of the topic's messages
    now_s: float  # when it was asked for (s since 1970)


def look_at(probe: TopicProbe[Consumer], known: dict[int, Sample] | None = None) -> TopicView | None:
    """Return what there is to know of a topic, None if it does not exist; UsageError if it cannot be accessed.

    `known` are the first messages of partitions as they were at the last look; they are brought up to date.
    """
    now_s = time.time()
    state = probe.ask(lambda _: topic_state(probe.admin, probe.topic))
    if state == ABSENT:
        return None
    retention = probe.ask(lambda _: _retention(probe.admin, probe.topic))
    offsets = ask_partitions(probe, with_committed=False)
    filled = {number: each for number, each in offsets.items() if each.end > each.start}
    first = _first_messages(probe, {number: each.start for number, each in filled.items() if each.start}, known)
    fullest = sorted(filled, key=lambda number: filled[number].start - filled[number].end)[:_MAX_SAMPLED]
    last = {number: max(filled[number].start, filled[number].end - _N_LAST) for number in fullest}
    newest = sample(probe.client, probe.topic, last)
    samples = (*first.values(), *chain.from_iterable(newest.values()))
    message_bytes = sum(each.size for each in samples) / len(samples) if samples else 0.0
    since: Mapping[int, int] = {}
    if retention.bytes is not None:
        since = offsets_at(probe.admin, probe.topic, dict.fromkeys(offsets, now_s - _LATELY_S))
    partitions = {}
    for number, each in offsets.items():
        n_lately = each.end - max(each.start, since.get(number, each.end))
        rate = n_lately * message_bytes / _LATELY_S
        first_s = first[number].time_s if number in first else None
        partitions[number] = PartitionView(each.start, each.end, first_s, message_bytes, rate)
    return TopicView(state.topic_id, retention, partitions, samples, now_s)


def _first_messages(
    probe: TopicProbe[Consumer], starts: Mapping[int, int], known: dict[int, Sample] | None
) -> dict[int, Sample]:
    """Return the first message of each partition, read only if it is not `known`."""
    known = {} if known is None else known
    for number in [number for number, each in known.items() if each.offset < starts.get(number, each.offset + 1)]:
        del known[number]
    unknown = {number: start for number, start in starts.items() if number not in known}
    found = sample(probe.client, probe.topic, unknown)
    known.update({number: messages[0] for number, messages in found.items() if messages})
    return dict(known)


def _retention(admin: AdminClient, topic: str) -> Retention:
    resource = ConfigResource(ResourceType.TOPIC, topic)
    configured = admin.describe_configs([resource], request_timeout=_ANSWER_TIMEOUT_S)[resource]
    try:
        return Retention.of(settings_of(configured.result(2 * _ANSWER_TIMEOUT_S)))
    except KafkaException as error:
        if is_unanswered(error.args[0]):
            raise
        return Retention.of(None)


def offsets_at(admin: AdminClient, topic: str, times: Mapping[int, float]) -> dict[int, int]:
    """Return, by partition, the offset of the first message of that time (s since 1970) or later.

    A partition that has none, or of which the broker does not say, is left out.
    """
    asked: dict[TopicPartition, OffsetSpec] = {
        TopicPartition(topic, number): OffsetSpec.for_timestamp(max(0, int(time_s * 1000)))
        for number, time_s in times.items()
    }
    answers: dict[TopicPartition, Future[Any]] = admin.list_offsets(asked, request_timeout=_ANSWER_TIMEOUT_S)
    found = {}
    for partition, answer in answers.items():
        try:
            offset = answer.result(2 * _ANSWER_TIMEOUT_S).offset
        except KafkaException:  # it has no leader: what is known of the others counts
            continue
        if offset >= 0:
            found[partition.partition] = offset
    return found


def sample(consumer: Consumer, topic: str, offsets: Mapping[int, int]) -> dict[int, list[Sample]]:
    """Return the first messages from these offsets on, one at least of each partition that has any there.

    Partitions that do not answer for a while are left out.
    """
    found: dict[int, list[Sample]] = {}
    if not offsets:
        return found
    waiting = set(offsets)
    consumer.assign([TopicPartition(topic, number, offset) for number, offset in offsets.items()])
    deadline = time.monotonic() + _READ_TIMEOUT_S
    while waiting and time.monotonic() < deadline:
        for message in consumer.consume(500, 0.1):
            number: int = message.partition()  # type: ignore[assignment]
            waiting.discard(number)
            if message.error() is None and len(found.setdefault(number, [])) < _N_LAST:
                found[number].append(_sampled(message))
    consumer.unassign()
    return found


def _sampled(message: Any) -> Sample:
    key, value, headers = message.key(), message.value(), headers_of(message) or []
    size = len(key or b"") + len(value or b"") + _RECORD_OVERHEAD
    size += sum(len(name) + len(each or b"") for name, each in headers)
    path, n_chunks = b"", 0
    with contextlib.suppress(ValueError):  # it is no chunk of a file
        chunk = read_chunk(key, value, headers)
        path, n_chunks = chunk.path, chunk.n_chunks
    return Sample(message.partition(), message.offset(), message.timestamp()[1] / 1000, size, path, n_chunks)
