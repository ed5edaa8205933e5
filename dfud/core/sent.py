"""Where and when a message was sent: which of two versions of a file came last on a topic."""

from __future__ import annotations

from typing import NamedTuple

NO_TIMESTAMP = -1


class Sent(NamedTuple):
    """The place of a message on a topic, and its timestamp.

    A version of a file is sent where the message lies that made it complete.
    """

    topic_id: str  # of Kafka, new whenever a topic is made anew; "" if the broker does not say
    partition: int
    offset: int
    timestamp_ms: int  # of the message, ms since 1970-01-01 UTC; `NO_TIMESTAMP` if it has none

    def is_after(self, other: Sent) -> bool:
        """Return whether this was sent after `other`: by offset in one partition, else by time.

        All messages of one key lie in one partition until partitions are added to the topic. Two times that are
        equal are told apart by partition, so that the answer depends on no order of reading.
        """
        if (self.topic_id, self.partition) == (other.topic_id, other.partition):
            return self.offset > other.offset
        return (self.timestamp_ms, self.partition) > (other.timestamp_ms, other.partition)

    def __str__(self) -> str:
        """Return the text that `parse` reads."""
        return f"{self.topic_id or '-'} {self.partition} {self.offset} {self.timestamp_ms}"

    @classmethod
    def parse(cls, text: str) -> Sent | None:
        """Read what `str` returns; None for anything else."""
        fields = text.split(" ")
        try:
            topic_id, partition, offset, timestamp_ms = fields
            return cls("" if topic_id == "-" else topic_id, int(partition), int(offset), int(timestamp_ms))
        except ValueError:
            return None
