"""What the user wants to be announced, and where."""

from __future__ import annotations

from typing import NamedTuple

from dfud.kafka.announcement_config import AnnouncementConfig
from dfud.messages import AnnouncementKind


class AnnouncementOptions(NamedTuple):
    """One kind of announcement."""

    kind: AnnouncementKind
    topic: str
    program_id: str | None  # None for one made of host, directory and topic
    interval_s: float
    config: AnnouncementConfig

    def key(self, default_id: str) -> bytes:
        """Return the key of the messages; `default_id` is the program id if the user gave none."""
        return f"{self.program_id or default_id}_{self.kind}".encode("utf-8", "backslashreplace")
