"""How long what is on a topic stays there: pure arithmetic on what a broker says.

Retention deletes whole segments, the oldest first: one whose newest message is older than ``retention.ms``, or
without which the partition still has ``retention.bytes``. So no message goes before its own time: all times here
are lower bounds, and a message may stay for as long as its segment is written to (``segment.ms``,
``segment.bytes``) and the broker does not look (``log.retention.check.interval.ms``).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

from dfud.core.elapsed import duration
from dfud.core.sizes import shown_size

NEVER = math.inf


class Retention(NamedTuple):
    """What a topic does with old messages."""

    ms: int | None = None  # it keeps them at least so long; None for ever
    bytes: int | None = None  # it keeps at least so much of each partition; None for all
    compacts: bool = False  # it keeps only the last message of each key: a file of several chunks is lost
    is_known: bool = True  # whether the broker tells this user

    @classmethod
    def of(cls, settings: Mapping[str, str] | None) -> Retention:
        """Return what the settings of a topic mean; None are settings that cannot be looked at."""
        if settings is None:
            return cls(is_known=False)
        policies = [each.strip() for each in settings.get("cleanup.policy", "delete").split(",")]
        if "delete" not in policies:
            return cls(compacts="compact" in policies)
        return cls(_limit(settings, "retention.ms"), _limit(settings, "retention.bytes"), "compact" in policies)

    def __str__(self) -> str:
        """Return this as a part of a line for the user."""
        if not self.is_known:
            return "unknown retention"
        kept = []
        if self.ms is not None:
            kept.append(f"retention.ms = {self.ms} ({duration(self.ms / 1000)})")
        if self.bytes is not None:
            kept.append(f"retention.bytes = {self.bytes} ({shown_size(self.bytes)} of each partition)")
        text = ", ".join(kept) or "no retention: nothing is deleted"
        return f"{text}; compacted, which deletes all chunks of a file but the last" if self.compacts else text


class PartitionView(NamedTuple):
    """What a broker says of one partition at one moment."""

    start: int  # offset of the first message that is still there
    end: int  # of the next message to arrive
    first_s: float | None = None  # the time of the first message (s since 1970); None if there is none, or unknown
    message_bytes: float = 0.0  # of a message, on average
    bytes_per_s: float = 0.0  # that have arrived lately

    def has_lost(self, time_s: float) -> bool:
        """Return whether a message of that time is not there any more, or never was."""
        if not self.start:
            return False
        return self.start >= self.end or (self.first_s is not None and time_s < self.first_s)


class Unread(NamedTuple):
    """The oldest message of a partition that a receiver still needs."""

    time_s: float  # since 1970
    offset: int | None = None  # None if it is not known


def seconds_left(retention: Retention, partition: PartitionView, unread: Unread, now_s: float) -> float:
    """Return how long a message stays at least, in s; `NEVER` for ever, 0 or less if it may go at any moment."""
    left = NEVER
    if retention.ms is not None:
        left = unread.time_s + retention.ms / 1000 - now_s
    if retention.bytes is not None and unread.offset is not None:
        behind = max(0, partition.end - unread.offset) * partition.message_bytes
        room = retention.bytes - behind
        rate = max(partition.bytes_per_s, behind / max(1.0, now_s - unread.time_s))
        left = min(left, 0.0 if room <= 0 else room / rate if rate > 0 else NEVER)
    return left


def due_offset(retention: Retention, partition: PartitionView, within_s: float) -> int:
    """Return the offset before which the size of a partition may take everything within a time.

    That is 0 or less, or before the first message, if it may take nothing.
    """
    if retention.bytes is None or not partition.message_bytes:
        return 0
    room = retention.bytes - partition.bytes_per_s * within_s
    return partition.end - math.floor(max(0.0, room) / partition.message_bytes)


def _limit(settings: Mapping[str, str], name: str) -> int | None:
    try:
        value = int(settings[name])
    except (KeyError, ValueError):
        return None
    return value if value >= 0 else None
