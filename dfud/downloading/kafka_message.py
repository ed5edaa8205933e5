"""What is used of a message of confluent_kafka."""

from __future__ import annotations

from typing import Any, Protocol


class KafkaMessage(Protocol):
    """A message without an error."""

    def key(self) -> Any:
        """Return the key, or None."""

    def value(self) -> Any:
        """Return the value, or None."""

    def headers(self) -> Any:
        """Return the headers as a list of pairs, or None."""

    def partition(self) -> Any:
        """Return the number of the partition."""

    def offset(self) -> Any:
        """Return the offset in the partition."""

    def timestamp(self) -> Any:
        """Return the kind of the timestamp, and the timestamp in ms since 1970-01-01 UTC."""
