"""How much each lane has to do."""

from __future__ import annotations

from dfud.uploading.entry import Entry

_MAX_UNREAD_SMALL = 1024  # files that a chunker may have been given and not yet read
_MAX_UNREAD_LARGE = 6
# Small files go to one lane as long as it keeps up: two wake up twice as often, for batches of half the size,
# which takes a fifth more CPU time, and the broker a third.
_ENOUGH_UNREAD_SMALL = 512
_SLACK_BYTES = 1 << 20  # that it may have to send more than the least busy lane


class LaneLoads:
    """Counts of what is with each lane, from which the least busy one is picked."""

    def __init__(self, n_lanes: int) -> None:
        self.unread = [[0, 0] for _ in range(n_lanes)]  # small and large files that the chunker has not read yet
        self.bytes = [0] * n_lanes  # of the files that are not acknowledged yet
        self._lane_of_small = 0  # the one that the last small file was for

    def pick(self, small: bool) -> int | None:
        """Return the lane with the fewest bytes of those whose chunker has room for a small or a large file.

        A small file goes where the last one went unless that lane has enough to do.
        """
        if small:
            lane = self._lane_of_small
            is_free = self.unread[lane][0] < _ENOUGH_UNREAD_SMALL
            if is_free and self.bytes[lane] <= min(self.bytes) + _SLACK_BYTES:
                return lane
        kind, limit = (0, _MAX_UNREAD_SMALL) if small else (1, _MAX_UNREAD_LARGE)
        best, fewest = None, 0
        for lane, n_bytes in enumerate(self.bytes):
            if (best is None or n_bytes < fewest) and self.unread[lane][kind] < limit:
                best, fewest = lane, n_bytes
        if small and best is not None:
            self._lane_of_small = best
        return best

    def add(self, entry: Entry) -> None:
        """Count `entry`, which enters its lane unread."""
        self.unread[entry.lane][not entry.is_small] += 1
        self.bytes[entry.lane] += entry.version.size

    def mark_read(self, entry: Entry) -> None:
        """Count `entry` as read."""
        self.unread[entry.lane][not entry.is_small] -= 1
        entry.is_read = True

    def add_small(self, lane: int, n_files: int, n_bytes: int) -> None:
        """Count small files, which enter `lane` unread."""
        self.unread[lane][0] += n_files
        self.bytes[lane] += n_bytes

    def remove_small(self, lane: int, n_unread: int, n_bytes: int) -> None:
        """Stop counting small files of `n_bytes`, which leave `lane`; `n_unread` of them were not read."""
        self.unread[lane][0] -= n_unread
        self.bytes[lane] -= n_bytes

    def remove(self, entry: Entry) -> None:
        """Stop counting `entry`, which leaves its lane."""
        self.bytes[entry.lane] -= entry.version.size
        if not entry.is_read:
            self.unread[entry.lane][not entry.is_small] -= 1
