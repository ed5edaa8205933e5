"""How much each lane has to do."""

from __future__ import annotations

from dfud.uploading.entry import Entry

_MAX_UNREAD_SMALL = 1024  # files that a chunker may have been given and not yet read
_MAX_UNREAD_LARGE = 6


class LaneLoads:
    """Counts of what is with each lane, from which the least busy one is picked."""

    def __init__(self, n_lanes: int) -> None:
        self.unread = [[0, 0] for _ in range(n_lanes)]  # small and large files that the chunker has not read yet
        self.bytes = [0] * n_lanes  # of the files that are not acknowledged yet

    def pick(self, small: bool) -> int | None:
        """Return the lane with the fewest bytes of those whose chunker has room for a small or a large file."""
        kind, limit = (0, _MAX_UNREAD_SMALL) if small else (1, _MAX_UNREAD_LARGE)
        best, fewest = None, 0
        for lane, n_bytes in enumerate(self.bytes):
            if (best is None or n_bytes < fewest) and self.unread[lane][kind] < limit:
                best, fewest = lane, n_bytes
        return best

    def add(self, entry: Entry) -> None:
        """Count `entry`, which enters its lane unread."""
        self.unread[entry.lane][not entry.is_small] += 1
        self.bytes[entry.lane] += entry.version.size

    def mark_read(self, entry: Entry) -> None:
        """Count `entry` as read."""
        self.unread[entry.lane][not entry.is_small] -= 1
        entry.is_read = True

    def remove(self, entry: Entry) -> None:
        """Stop counting `entry`, which leaves its lane."""
        self.bytes[entry.lane] -= entry.version.size
        if not entry.is_read:
            self.unread[entry.lane][not entry.is_small] -= 1
