"""What a broker says about a topic, and what that means for a command: the types of both."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import NamedTuple


class Partition(NamedTuple):
    """The replicas of one partition."""

    leader: int  # number of the broker that leads it; -1 if none does
    replicas: int
    in_sync: int  # of the replicas


class ClockReading(NamedTuple):
    """A time by a clock of Kafka's, and the time here when that was asked for; ms since 1970-01-01 UTC."""

    theirs: int
    ours: int
    is_present: bool  # the broker's time now; otherwise a message has this timestamp, so that it is later by now
    source: str  # as in "the broker's clock"


class TopicFacts(NamedTuple):
    """What is known about a topic at one moment; what could not be looked at is None."""

    topic: str
    topic_id: str  # new whenever the topic is made anew; "" if the broker does not say
    partitions: tuple[Partition, ...]
    settings: Mapping[str, str] | None
    operations: frozenset[str] | None  # that this user may do, such as "WRITE"
    clocks: tuple[ClockReading, ...] = ()
    unseen: str = ""  # why `settings` could not be looked at
    round_trip_s: float = 0.0  # that a request takes on a connection that is there; 0 if that is not known

    def number(self, name: str) -> int | None:
        """Return a setting that is a whole number; None if it is not known."""
        try:
            return int((self.settings or {})[name])
        except (KeyError, ValueError):
            return None

    def is_on(self, name: str) -> bool:
        """Return whether a setting is known to be "true"."""
        return (self.settings or {}).get(name) == "true"

    @property
    def deletes(self) -> bool:
        """Whether old messages may be deleted, by age or by size."""
        return "delete" in self.policies

    @property
    def policies(self) -> list[str]:
        """What ``cleanup.policy`` lists."""
        return [each.strip() for each in (self.settings or {}).get("cleanup.policy", "").split(",")]

    @property
    def retention_ms(self) -> int | None:
        """How long messages stay at least; None for ever, or if it is not known."""
        value = self.number("retention.ms")
        return value if self.deletes and value is not None and value >= 0 else None

    @property
    def retention_bytes(self) -> int | None:
        """How much the topic holds, at most, before the oldest messages are deleted; None for no limit."""
        value = self.number("retention.bytes")
        return value * len(self.partitions) if self.deletes and value is not None and value >= 0 else None

    @property
    def largest_batch(self) -> int | None:
        """How many bytes a batch of messages may have; None if it is not known."""
        limits = [self.number(name) for name in ("max.message.bytes", "segment.bytes")]
        return min((limit for limit in limits if limit is not None), default=None)


class Severity(enum.IntEnum):
    """What follows from a finding."""

    NOTE = 1  # worth knowing
    WARNING = 2  # the command goes on
    REFUSAL = 3  # the command would lose data, or could not work


class Finding(NamedTuple):
    """One thing that matters about a topic, in one line that names the setting to change."""

    severity: Severity
    text: str
