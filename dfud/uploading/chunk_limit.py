"""Which chunks of an earlier run can still be sent, and room for the largest of them in librdkafka."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from dfud.core.tables import InProgressRow
from dfud.kafka.properties import message_bytes_needed

_QUEUE_CHUNKS = 4  # that librdkafka's queue has room for, unless the user has set its size


class ChunkLimit(NamedTuple):
    """What limits the chunks of files that an earlier run began with another ``--chunk_size``."""

    topic: str
    max_message_bytes: int | None  # of the topic; None if this user may not ask
    by_user: Mapping[str, str]  # librdkafka's properties that the user has set
    more_bytes: int = 0  # of each message: headers of the user's own

    def obstacle(self, row: InProgressRow) -> str:
        """Return why the chunks of `row` cannot be sent, or "" if nothing is known that prevents it."""
        largest = _largest_chunk(row)
        needed = message_bytes_needed(largest, self.more_bytes)
        if self.max_message_bytes is not None and self.max_message_bytes < needed:
            return f"topic {self.topic} takes messages of at most max.message.bytes = {self.max_message_bytes}"
        if int(self.by_user.get("message.max.bytes", needed)) < needed:
            return f"the configuration file sets message.max.bytes = {self.by_user['message.max.bytes']}"
        kbytes = self.by_user.get("queue.buffering.max.kbytes")
        if kbytes is not None and int(kbytes) * 1024 < needed:
            return f"the configuration file sets queue.buffering.max.kbytes = {kbytes}"
        return ""

    def largest_sendable(self, rows: list[InProgressRow]) -> int:
        """Return the length of the largest chunk of `rows` that can be sent, 0 without any (bytes)."""
        return max((_largest_chunk(row) for row in rows if not self.obstacle(row)), default=0)

    def with_room(self, properties: Mapping[str, Any], chunk_bytes: int) -> dict[str, Any]:
        """Return `properties` with room for chunks of `chunk_bytes`; what the user has set stays."""
        needed = message_bytes_needed(chunk_bytes, self.more_bytes)
        least = {
            "message.max.bytes": needed,
            "batch.size": needed,
            "queue.buffering.max.kbytes": _QUEUE_CHUNKS * needed // 1024 + 1,
        }
        raised = {
            name: max(number, int(properties.get(name, 0)))
            for name, number in least.items()
            if name not in self.by_user
        }
        return {**properties, **raised}


def _largest_chunk(row: InProgressRow) -> int:
    return min(row.chunk_size, row.size)
