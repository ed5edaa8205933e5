"""What is known of how far receivers are behind a topic."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from dfud.lagging.retention import Retention


class Basis(Enum):
    """What a lag is counted by."""

    TABLES = "tables"  # of the upload, and the receipts: exact, file by file
    OFFSETS = "offsets"  # that the receiver has committed: files and bytes are estimates
    NOTHING = "nothing"  # it is not known how far the receiver has read


class ReceiverLag(NamedTuple):
    """What one receiver has not received of one topic."""

    receiver: str
    basis: Basis
    last_receipt: str = ""  # when it put a file of the topic in its place last (ISO 8601, UTC); "" if it never did
    n_files: int | None = None  # that it has not received, those that are lost included; None if not known
    n_bytes: int | None = None  # of these files
    oldest: bytes = b""  # path of the oldest file of these that may still be there; b"" if there is none
    age_s: float | None = None  # since the oldest was sent; None if there is none
    left_s: float | None = (
        None  # until retention takes the first of them, at least; None for never; 0 or less: due
    )
    n_lost: int = 0  # files (TABLES) or messages (OFFSETS) that are gone from the topic, and were not received

    def is_due(self, within_s: float) -> bool:
        """Return whether something is lost, or may be within that time."""
        return self.n_lost > 0 or (self.left_s is not None and self.left_s <= within_s)


class TopicLag(NamedTuple):
    """How far the receivers of one topic are behind."""

    topic: str
    retention: Retention
    receivers: tuple[ReceiverLag, ...]  # by name
    warnings: tuple[str, ...] = ()  # what else the user should know
