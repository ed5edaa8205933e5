"""Heartbeats of programs, as messages on a topic."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from dfud.announcing.heartbeat_format import Counts, encode
from tests.helpers.statuses import AT, upload_status

NOW_S = 1_772_359_200.0  # of AT


class Said(NamedTuple):
    """A message, in the place of confluent_kafka's."""

    the_key: bytes | None
    the_value: bytes | None
    at_s: float = NOW_S
    number: int = 0

    def key(self) -> bytes | None:
        """Return the key."""
        return self.the_key

    def value(self) -> bytes | None:
        """Return the value."""
        return self.the_value

    def partition(self) -> int:
        """Return the partition."""
        return self.number

    def timestamp(self) -> tuple[int, int]:
        """Return that it is the sender's time, and the time in ms."""
        return 1, int(self.at_s * 1000)


def heartbeat(
    name: str = "here:/data:T", at_s: float = NOW_S, partition: int = 0, interval_s: float = 60.0, **changes: Any
) -> Said:
    """Return the heartbeat of an upload that runs, but for the `changes` to its status."""
    value = encode(Counts(AT, 2, 30), upload_status(**changes), interval_s)
    return Said(f"{name}_heartbeat".encode(), value, at_s, partition)


def changed(message: Said, **fields: object) -> Said:
    """Return a heartbeat of which what dfud says is changed, in whatever way."""
    value = msgspec.json.decode(message.the_value or b"")
    value["dfud"].update(fields)
    return message._replace(the_value=msgspec.json.encode(value))
