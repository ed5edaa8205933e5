"""What changes about a topic while it is uploaded to, and what that means."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from dfud.core.text import counted
from dfud.kafka.topic_facts import TopicFacts
from dfud.kafka.topic_rules import duration, size


class Change(NamedTuple):
    """One thing that is no longer as it was."""

    level: int  # of `logging`; ERROR if something that was sent is lost, or will be
    text: str
    new_topic_id: str = ""  # the topic was made anew


class Offsets(NamedTuple):
    """How far a topic reached when it was looked at first, and what is left of it now."""

    ends: Mapping[int, int]  # by partition, the offset of the next message then
    starts: Mapping[int, int]  # by partition, the offset of the first message now
    seconds: float  # between the two


def changes(before: TopicFacts, after: TopicFacts) -> Iterator[Change]:
    """Yield what is different in `after`."""
    topic = after.topic
    if before.topic_id and after.topic_id and before.topic_id != after.topic_id:
        yield Change(
            logging.ERROR,
            made_anew(topic),
            after.topic_id,
        )
        return
    n_added = len(after.partitions) - len(before.partitions)
    if n_added > 0:
        yield Change(
            logging.INFO, f"topic {topic} has {counted(n_added, 'more partition')}, {len(after.partitions)} in all"
        )
    if _may_write(before) and not _may_write(after):
        yield Change(
            logging.WARNING,
            f"the ACLs of topic {topic} no longer allow this user to write; grant the operation Write on it",
        )
    if "compact" in after.policies and "compact" not in before.policies:
        yield Change(
            logging.ERROR,
            f"topic {topic} now has cleanup.policy = {','.join(after.policies)}: compaction deletes all chunks of "
            "a file but the last; set the topic's cleanup.policy to delete",
        )
    yield from _shorter(topic, "retention.ms", before.retention_ms, after.retention_ms, duration)
    yield from _shorter(topic, "retention.bytes", before.retention_bytes, after.retention_bytes, size)


def early_deletions(facts: TopicFacts, offsets: Offsets) -> Iterator[Change]:
    """Yield an error if messages are gone that were sent since the first look, before they were old enough."""
    retention_ms = facts.retention_ms
    may_be_full = facts.retention_bytes is not None or facts.settings is None
    if may_be_full or (retention_ms is not None and offsets.seconds * 1000 >= retention_ms):
        return
    n_gone = sum(max(0, start - offsets.ends.get(number, start)) for number, start in offsets.starts.items())
    if n_gone:
        age = duration(int(offsets.seconds * 1000))
        reason = "deleted by another program"
        if retention_ms is not None:
            reason += f", or by retention.ms = {retention_ms} because this machine's clock is wrong (NTP)"
        yield Change(
            logging.ERROR,
            f"{counted(n_gone, 'message')} of the last {age} are no longer on topic {facts.topic}: {reason}",
        )


def made_anew(topic: str) -> str:
    """Say what it means that a topic is another one of the same name."""
    return f"topic {topic} was deleted and made anew: nothing that was sent before is on it"


def _may_write(facts: TopicFacts) -> bool:
    return not facts.operations or "WRITE" in facts.operations


def _shorter(
    topic: str, name: str, before: int | None, after: int | None, show: Callable[[int], str]
) -> Iterator[Change]:
    if after is not None and (before is None or after < before):
        yield Change(
            logging.WARNING,
            f"{name} of topic {topic} was lowered: it now keeps {show(after)} of messages, and deletes older ones",
        )
