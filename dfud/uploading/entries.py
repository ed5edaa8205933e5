"""Where each entry of the ledger is: by token, by path, in a queue, with a lane, or paused.

The ledger decides what happens to an entry; this moves it and keeps the counts.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator

from dfud.core.version import FileStamp, FileVersion
from dfud.uploading.entry import ENDED, WITH_LANE, Entry, State
from dfud.uploading.lane_loads import LaneLoads
from dfud.uploading.retry_schedule import RetrySchedule

_MIN_PAUSE_S, _MAX_PAUSE_S = 1.0, 30.0  # before a file is tried again; doubled with each attempt
_MAX_RETRIES_PER_S = 200  # of all paused files together, so that many of them leave the others their share


class Entries:
    """All entries of a ledger. Only these methods change the state of an entry."""

    def __init__(self, n_lanes: int) -> None:
        """Begin without entries."""
        self._next_token = 1
        self.by_token: dict[int, Entry] = {}
        self.latest: dict[bytes, Entry] = {}  # by path
        self.with_lane: dict[bytes, Entry] = {}  # by path: only one version of a file is with a lane at a time
        self.waiting_small: OrderedDict[int, Entry] = OrderedDict()  # by token, in the order of dispatch
        self.waiting_large: OrderedDict[int, Entry] = OrderedDict()
        self.retries = RetrySchedule()  # of the paused entries
        self.last_tries: dict[int, Entry] = {}  # paused after two or more attempts, by token
        self.unreadable: dict[int, Entry] = {}  # paused as they could not be read at the first attempt, by token
        self.loads = LaneLoads(n_lanes)
        self.n_ended = 0  # entries in a state of ENDED
        self.changed = False  # since this was last set to False, in a way that the in-progress table shows

    def __iter__(self) -> Iterator[Entry]:
        """Iterate over all entries, in the order of their tokens."""
        return iter(self.by_token.values())

    def __len__(self) -> int:
        """Count the entries."""
        return len(self.by_token)

    def is_superseded(self, entry: Entry) -> bool:
        """Return whether there is a newer version of the file."""
        return self.latest.get(entry.version.path) is not entry

    def add(
        self,
        version: FileVersion,
        stamp: FileStamp,
        chunk_size: int,
        started: str,
        after: Entry | None,
        identity: bytes = b"",
    ) -> Entry:
        """Add and return an entry in no queue yet, `after` an earlier one for the same path."""
        entry = Entry(self._next_token, version, chunk_size, started, identity)
        entry.stamp = stamp
        if after is not None:
            entry.lane = after.lane
        self._next_token += 1
        self.by_token[entry.token] = entry
        self.latest[version.path] = entry
        self.changed = True
        return entry

    def forget(self, entry: Entry) -> None:
        """Remove `entry`."""
        del self.by_token[entry.token]
        if self.latest.get(entry.version.path) is entry:
            del self.latest[entry.version.path]
        self._leave(entry)
        self.changed = True

    def wait(self, entry: Entry, first: bool = False) -> None:
        """Enqueue `entry` for a chunker, or behind the version that is with a lane."""
        self._leave(entry)
        entry.failure = ""
        if entry.version.path in self.with_lane:
            entry.state = State.BEHIND
            return
        entry.state = State.WAITING
        queue = self._queue(entry)
        queue[entry.token] = entry
        if first:
            queue.move_to_end(entry.token, last=False)

    def enter_lane(self, entry: Entry, lane: int) -> None:
        """Move a waiting `entry` to `lane`, whose chunker has nothing of it yet."""
        self._leave(entry)
        entry.state = State.ACTIVE
        entry.lane = lane
        entry.is_read = False
        entry.seen_again = False
        entry.mixed = entry.mixed or bool(entry.acked)
        self.with_lane[entry.version.path] = entry
        self.loads.add(entry)

    def pause(self, entry: Entry, attempts: int, now: float) -> None:
        """Pause `entry` after an attempt that failed, and `attempts` that had failed before."""
        entry.attempts = attempts + 1
        pause_s = min(_MIN_PAUSE_S * 2 ** min(attempts, 10), _MAX_PAUSE_S)
        self.pause_until(entry, now + max(pause_s, len(self.retries) / _MAX_RETRIES_PER_S))

    def pause_until(self, entry: Entry, time: float) -> None:
        """Pause `entry` until `time` (s, monotonic)."""
        self._leave(entry)
        entry.state = State.PAUSED
        self.retries.add(entry.token, time)
        if entry.attempts > 1:
            self.last_tries[entry.token] = entry
        elif entry.failure:
            self.unreadable[entry.token] = entry

    def end(self, entry: Entry, state: State, reason: str) -> None:
        """Move `entry` to HELD or FAILED."""
        self._leave(entry)
        entry.failure = reason
        entry.state = state
        self.n_ended += 1
        self.changed = True

    def give_up(self, entry: Entry) -> None:
        """Move an ACTIVE `entry` to GIVEN_UP: it has ended, but stays with its lane."""
        entry.state = State.GIVEN_UP
        self.n_ended += 1
        self.changed = True

    def _queue(self, entry: Entry) -> OrderedDict[int, Entry]:
        return self.waiting_small if entry.is_small else self.waiting_large

    def _leave(self, entry: Entry) -> None:
        """Take `entry` out of wherever its state has it, and enqueue the version behind it, if any."""
        state, entry.state = entry.state, State.BEHIND  # the state that is in no queue
        if state is State.WAITING:
            del self._queue(entry)[entry.token]
        elif state is State.PAUSED:
            self.retries.discard(entry.token)
            self.last_tries.pop(entry.token, None)
            self.unreadable.pop(entry.token, None)
        if state in ENDED:
            self.n_ended -= 1
        if state in WITH_LANE:
            path = entry.version.path
            self.loads.remove(entry)
            del self.with_lane[path]
            follower = self.latest.get(path)
            if follower is not None and follower is not entry and follower.state is State.BEHIND:
                self.wait(follower)
