"""What a download asks Kafka before it starts: which topic is there, its ends, and whether the group works."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from confluent_kafka import Consumer, KafkaError, TopicPartition

from dfud.downloading.offsets import OffsetCommitter, Position
from dfud.errors import UsageError
from dfud.kafka.open_ends import written_ends
from dfud.kafka.read_access import check_read_access
from dfud.kafka.topic_probe import OnWait, TopicProbe
from dfud.kafka.topic_watch import topic_state
from dfud.kafka.watermarks import ask_partitions

_ANSWER_TIMEOUT_S = 10.0
_LATEST = ("latest", "largest", "end")  # values of auto.offset.reset


class Start(NamedTuple):
    """The topic when the download starts."""

    topic_id: str  # "" if the broker does not say
    ends: dict[int, int]  # by partition, the offset after the last message, even if a transaction still hides it


def ask_start(
    on_wait: OnWait | None,
    topic: str,
    properties: Mapping[str, Any],
    config_path: str,
    is_new_group: bool,
    is_shared: bool,
) -> Start:
    """Return what the broker says of the topic; UsageError if it, or the group in `properties`, cannot be used.

    With `on_wait`, this waits for a broker as long as it takes. The offsets that a new group starts from are
    committed: what comes later, retention's gaps and partitions included, is compared with them. The calling
    process must not fork afterwards.
    """
    group = str(properties["group.id"])

    def on_commit(error: KafkaError | None, offsets: list[TopicPartition]) -> None:
        committer.on_commit(error, offsets)

    probe = TopicProbe(Consumer, topic, properties, config_path, on_wait, {"on_commit": on_commit})
    committer = OffsetCommitter(probe.client, topic, group, lambda _: None)
    ask_partitions(probe, with_committed=False)
    check_read_access(probe, group)
    partitions = ask_partitions(probe, with_committed=True)
    topic_id = probe.ask(lambda _: topic_state(probe.admin, topic).topic_id)
    written = written_ends(probe.admin, topic, partitions)
    ends = {number: written.get(number, each.end) for number, each in partitions.items()}
    if is_new_group and all(each.committed < 0 for each in partitions.values()):
        is_latest = str(properties.get("auto.offset.reset", "")) in _LATEST
        committer.commit(
            {number: Position(topic_id, each.end if is_latest else 0) for number, each in partitions.items()}
        )
        committer.wait(_ANSWER_TIMEOUT_S)
        if committer.failure and not is_shared:  # a member of the group is reading already
            raise UsageError(f"cannot commit offsets of topic {topic}: {committer.failure}")
    return Start(topic_id, ends)
