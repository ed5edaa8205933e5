"""Whether an acknowledgement proves that a message is on the topic, where what was acknowledged before is."""

from __future__ import annotations

from collections import defaultdict

TRUSTED_AFTER = 1000  # acknowledgements


class OffsetProof:
    """Decides which acknowledgements count: those with an offset that is greater than any before in its partition.

    When a later batch is acknowledged, librdkafka infers that an earlier one, which failed, was written, too. That
    is wrong if the topic was deleted and created again between the two; such a message has no offset. A broker
    that never reports offsets is trusted without them in the end.

    A partition never gives an offset again: one that is not greater comes from a partition that was made anew, or
    two brokers that led it have answered in another order. Until it is known which, nothing counts.
    """

    def __init__(self, trusted_after: int = TRUSTED_AFTER) -> None:
        """Trust a broker that has reported no offset in so many acknowledgements."""
        self._trusted_after = trusted_after
        self._latest: defaultdict[int, int] = defaultdict(lambda: -1)  # offset, by partition
        self._without_offset = 0
        self.is_in_doubt = False  # whether this is still the topic of the earlier acknowledgements

    def check(self, partition: int, offset: int | None) -> bool:
        """Take the offset of an acknowledged message, and return whether the acknowledgement counts."""
        if offset is None:
            self._without_offset += 1
            return not self._latest and self._without_offset > self._trusted_after
        latest = self._latest
        if self.is_in_doubt or offset <= latest[partition]:
            self.is_in_doubt = True
            return False
        latest[partition] = offset
        return True

    def trust(self) -> None:
        """Go on: it is still the same topic."""
        self.is_in_doubt = False


class OffsetProofs:
    """The proofs of Kafka producers that share a lane: their acknowledgements come in any order."""

    def __init__(self, number: int) -> None:
        """Make a proof for each of so many producers."""
        self.of_producer = [OffsetProof() for _ in range(number)]

    @property
    def is_in_doubt(self) -> bool:
        """Whether one of them does not know whether this is still the topic of the earlier acknowledgements."""
        return any(proof.is_in_doubt for proof in self.of_producer)

    def trust(self) -> None:
        """Go on: it is still the same topic."""
        for proof in self.of_producer:
            proof.trust()
