"""Whether an acknowledgement comes from the broker, or librdkafka has only inferred it."""

from __future__ import annotations

TRUSTED_AFTER = 1000  # acknowledgements


class OffsetProof:
    """Decides which acknowledgements count: those with an offset.

    When a later batch is acknowledged, librdkafka infers that an earlier one, which failed, was written, too. That
    is wrong if the topic was deleted and created again between the two; such a message has no offset. A broker
    that never reports offsets is trusted without them in the end.
    """

    def __init__(self, trusted_after: int = TRUSTED_AFTER) -> None:
        """Trust a broker that has reported no offset in so many acknowledgements."""
        self._trusted_after = trusted_after
        self._has_seen_offset = False
        self._without_offset = 0

    def check(self, offset: int | None) -> bool:
        """Take the offset of an acknowledged message, and return whether the acknowledgement counts."""
        if offset is not None:
            self._has_seen_offset = True
            return True
        self._without_offset += 1
        return not self._has_seen_offset and self._without_offset > self._trusted_after
