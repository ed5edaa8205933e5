"""Where a message lies on the topic, in 16 bytes: which of two versions was sent last, for millions of them."""

from __future__ import annotations

from typing import Any

from dfud.core.sent import NO_TIMESTAMP, Sent

PLACE_BYTES = 16
_OFFSET_AT, _PARTITION_AT = 6, 13  # after the timestamp, and after the offset
_MAX_TIMESTAMP_MS = (1 << 48) - 2  # in the year 10889; what claims to be later counts as this
_MAX_OFFSET = (1 << 56) - 1


def place_of(message: Any) -> Sent:
    """Return where a message of confluent_kafka lies. One topic is read, so its id is left out."""
    return Sent("", message.partition(), message.offset(), message.timestamp()[1])


def pack(place: Sent) -> bytes:
    """Return a place as 16 bytes."""
    timestamp = min(max(place.timestamp_ms, NO_TIMESTAMP), _MAX_TIMESTAMP_MS) - NO_TIMESTAMP
    offset = min(place.offset, _MAX_OFFSET)
    return timestamp.to_bytes(6, "big") + offset.to_bytes(7, "big") + place.partition.to_bytes(3, "big")


def unpack(packed: bytes) -> Sent:
    """Return the place that `pack` was given."""
    timestamp = int.from_bytes(packed[:_OFFSET_AT], "big") + NO_TIMESTAMP
    offset = int.from_bytes(packed[_OFFSET_AT:_PARTITION_AT], "big")
    return Sent("", int.from_bytes(packed[_PARTITION_AT:], "big"), offset, timestamp)


def is_after(packed: bytes, other: bytes) -> bool:
    """Return whether one place, packed, comes after another."""
    if packed[_PARTITION_AT:] == other[_PARTITION_AT:]:
        return packed[_OFFSET_AT:_PARTITION_AT] > other[_OFFSET_AT:_PARTITION_AT]
    return unpack(packed).is_after(unpack(other))
