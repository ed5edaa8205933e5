"""What the supervisor knows of every file that is recognised and not yet wholly acknowledged.

A state machine without processes, files or clocks: it is told what happened and answers what is to be done. A
file leaves it only when every chunk is acknowledged and its row is recorded, when its version is no more, or
never: what can't be delivered stays, with its cause.
"""

from __future__ import annotations

import heapq
from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import NamedTuple

from dfud.core.ranges import RangeSet
from dfud.core.tables import InProgressRow, in_progress_row, version_of
from dfud.core.version import FileVersion
from dfud.messages import FileTask, Ranges
from dfud.uploading.entry import ENDED, Entry, State

_SMALL_AT_ONCE = 1024  # files that a chunker may have been given and not yet read
_LARGE_AT_ONCE = 6
_FIRST_PAUSE_S, _MAX_PAUSE_S = 1.0, 30.0  # s before a file that could not be read is tried again


class LedgerCounts(NamedTuple):
    """How much is on its way."""

    files: int  # enqueued or in progress
    failed: int  # that will not be delivered in this run, or are held
    chunks: int  # of the files that are enqueued or in progress
    acked: int  # of those chunks


class Ledger:
    """Responsible for every file from its recognition to its end."""

    def __init__(
        self,
        chunk_size: int,
        n_lanes: int,
        known_digest: Callable[[bytes], bytes | None],
        now: Callable[[], str],
    ) -> None:
        """`known_digest` gives the digest of a completed version by its identity; `now` the time for a row."""
        self._chunk_size = chunk_size
        self._known_digest = known_digest
        self._now = now
        self._next_token = 1
        self._entries: dict[int, Entry] = {}  # by token
        self._latest: dict[bytes, Entry] = {}  # by path
        self._active: dict[bytes, Entry] = {}  # by path: a file has one version at a time with a lane
        self._waiting_small: OrderedDict[int, Entry] = OrderedDict()  # by token, in the order of their turn
        self._waiting_large: OrderedDict[int, Entry] = OrderedDict()
        self._pauses: list[tuple[float, int]] = []  # a heap of (end, token), some of them over already
        self._last_tries: dict[int, Entry] = {}  # paused and tried twice or more, by token
        self._unread = [[0, 0] for _ in range(n_lanes)]  # small and large files that a chunker has
        self._bytes = [0] * n_lanes  # on their way in each lane
        self._ended = 0  # entries that are failed or held
        self.changed = False  # since the table was last written; whoever writes it sets it back

    # -- recognition

    def on_found(self, version: FileVersion, by_event: bool) -> Entry | None:
        """Take a file that was recognised; return its entry if it is new, None if there is nothing to be done."""
        latest = self._latest.get(version.path)
        same = latest is not None and latest.version == version
        if latest is not None and same and not (by_event and latest.state in ENDED):
            latest.seen_again = True
            if by_event:
                latest.recheck = True
                if latest.state is State.PAUSED and latest.attempts <= 1:
                    self._wait(latest)
            return None
        identity = version.identity()
        digest = None if same else self._known_digest(identity)
        if digest is not None and not by_event:
            return None
        entry = self._add(version, self._chunk_size, self._now(), identity)
        if digest is not None:
            # Rewritten within a tick of the file system's clock, or closed unchanged: only its content tells.
            entry.known_digest = digest.hex()
        if latest is None or latest.state is State.ACTIVE:
            self._wait(entry)
            return entry
        entry.attempts = latest.attempts
        paused, until = latest.state is State.PAUSED, latest.resume_at
        self._forget(latest)
        if paused and entry.attempts > 1:  # it changes for ever, and each time it is reported
            self._pause_until(entry, until)
        else:
            self._wait(entry)
        return entry

    def is_recorded(self, version: FileVersion) -> bool:
        """Tell whether the completed table has this version."""
        return self._known_digest(version.identity()) is not None

    def resume(self, row: InProgressRow, version: FileVersion) -> Entry:
        """Go on with a file that an earlier run left, of which `version` is what `row` says."""
        entry = self._add_row(row, version)
        self._wait(entry)
        return entry

    def resume_lost(self, row: InProgressRow, why: str) -> None:
        """Keep the row of a file that an earlier run has sent in part and that can't be finished now."""
        self._end(self._add_row(row, version_of(row)), State.FAILED, why)

    def entry(self, token: int) -> Entry | None:
        """Return the entry of `token` while it is in the ledger."""
        return self._entries.get(token)

    # -- dispatch

    def dispatch(self) -> Iterator[tuple[int, FileTask]]:
        """Give each lane the files that its chunker has room for."""
        for waiting, kind, most in (
            (self._waiting_small, 0, _SMALL_AT_ONCE),
            (self._waiting_large, 1, _LARGE_AT_ONCE),
        ):
            while waiting:
                lane = self._lane_for_more(kind, most)
                if lane is None:
                    break
                entry = next(iter(waiting.values()))
                if entry.recheck:
                    entry = self._renew(entry)
                self._enter_lane(entry, lane)
                yield lane, entry.task()

    def _lane_for_more(self, kind: int, most: int) -> int | None:
        """Return the lane with the least to do of those whose chunker has fewer than `most` files of a kind."""
        best = None
        for lane, unread in enumerate(self._unread):
            if unread[kind] < most and (best is None or self._bytes[lane] < self._bytes[best]):
                best = lane
        return best

    def resume_paused(self, now: float) -> None:
        """Let those files wait for a chunker whose pause is over at `now` (s, monotonic)."""
        while (until := self.next_resumption) is not None and until <= now:
            self._wait(self._entries[self._pauses[0][1]])

    @property
    def next_resumption(self) -> float | None:
        """When the next pause is over (s, monotonic), or None."""
        while self._pauses:
            until, token = self._pauses[0]
            entry = self._entries.get(token)
            if entry is not None and entry.state is State.PAUSED and entry.resume_at == until:
                return until
            heapq.heappop(self._pauses)
        return None

    # -- what chunkers tell

    def mark_read(self, token: int) -> None:
        """The producer has all of the file."""
        entry = self._entries.get(token)
        if entry is not None and entry.state is State.ACTIVE and not entry.read:
            entry.read = True
            self._unread[entry.lane][not entry.is_small] -= 1

    def on_unchanged(self, token: int) -> None:
        """A file that was closed again is what is on the topic already."""
        entry = self._entries.get(token)
        if entry is not None:
            self._forget(entry)
            self._look_again(entry)

    def on_changed(self, token: int, version: FileVersion, being_written: bool, now: float) -> Entry | None:
        """The file is another version now; return the entry of the version that takes its place, if any."""
        entry = self._entries.get(token)
        if entry is None:
            return None
        latest = self._latest[version.path]
        if latest is not entry:
            # It was reported meanwhile. If that is so each time it is read, it is read less often.
            self._forget(entry)
            latest.attempts = max(latest.attempts, entry.attempts + 1)
            if latest.state is State.WAITING and latest.attempts > 1:
                self._pause(latest, latest.attempts - 1, now)
            return None
        if being_written and not entry.recheck:
            entry.known_digest = ""  # it gets a row
            self._end(entry, State.HELD, "it is still being written")
            return None
        self._forget(entry)
        if being_written:  # it has been closed since: `version` was on the way to what was reported
            version = entry.version
        successor = self._add(version, self._chunk_size, self._now())
        if entry.known_digest and version == entry.version:  # of other content, with the same size and time
            self._wait(successor)
        else:
            self._pause(successor, entry.attempts, now)
        return successor

    def on_read_error(self, token: int, gone: bool, why: str, now: float) -> Entry | None:
        """The file can't be read; return its entry if that is news to be told."""
        entry = self._entries.get(token)
        if entry is None or entry.state is not State.ACTIVE:
            return None
        if gone and entry.seen_again and not self._is_superseded(entry):
            self._pause(entry, entry.attempts, now)  # its folder was moved away and back
            return None
        if self._is_superseded(entry) or (gone and not entry.acked):
            self._forget(entry)  # a newer version is on its way, or there is nothing on the topic to be finished
            return entry
        if gone:
            self._end(entry, State.FAILED, why)
            return entry
        entry.failure = why
        self._pause(entry, entry.attempts, now)
        return entry if entry.attempts == 1 else None

    # -- what producers tell

    def on_acked(self, token: int, chunks: Ranges) -> None:
        """Chunks have been acknowledged."""
        entry = self._entries.get(token)
        if entry is not None:
            entry.acked.update(chunks)
            self.changed = True

    def on_completed(self, token: int) -> Entry | None:
        """Every chunk is acknowledged and the row is written; return the entry, which is no longer ours.

        If the kernel has reported the file once more meanwhile, its content is compared with what was sent.
        The caller must have made its digest known.
        """
        entry = self._entries.get(token)
        if entry is None:
            return None
        self._forget(entry)
        self._look_again(entry)
        return entry

    def on_undelivered(self, token: int, why: str) -> Entry | None:
        """A chunk was refused or given up; return the entry if that is news."""
        entry = self._entries.get(token)
        if entry is None or entry.state is State.FAILED:
            return None
        if self._is_superseded(entry):
            self._forget(entry)
            return None
        self._end(entry, State.FAILED, why)
        return entry

    # -- ends

    def on_lane_death(self, lane: int, producer: bool) -> int:
        """A worker of `lane` ended: have what it held sent again; return of how many files."""
        held = [
            entry
            for entry in self._entries.values()
            if entry.lane == lane and entry.state is State.ACTIVE and (producer or not entry.read)
        ]
        for entry in reversed(held):
            if self._is_superseded(entry):
                self._forget(entry)  # there is a newer version to be read in its place
            else:
                self._wait(entry, first=True)
        return len(held)

    def give_up(self, why: str) -> list[Entry]:
        """Nothing more can be delivered: fail all that is on its way; return it.

        A file that is only compared goes on: that needs no broker, and nobody else remembers to do it.
        """
        given_up = [
            entry for entry in self._entries.values() if entry.state not in ENDED and not entry.known_digest
        ]
        for entry in given_up:
            if self._is_superseded(entry):
                self._forget(entry)
            else:
                self._end(entry, State.FAILED, entry.failure or why)
        return given_up

    def fail_paused(self) -> list[Entry]:
        """The program is to end: fail what has been tried twice and is paused again; return it."""
        failed = list(self._last_tries.values())
        for entry in failed:
            self._end(entry, State.FAILED, entry.failure or "it keeps changing while it is read")
        return failed

    @property
    def open_files(self) -> int:
        """Files that are on their way: neither failed nor held."""
        return len(self._entries) - self._ended

    @property
    def undelivered(self) -> list[Entry]:
        """The files that are failed or held."""
        return [entry for entry in self._entries.values() if entry.state in ENDED]

    def count(self) -> LedgerCounts:
        """Count all; this looks at every file, and is for when a user asks."""
        entries = [entry for entry in self._entries.values() if entry.state not in ENDED]
        chunks = sum(entry.n_chunks for entry in entries)
        return LedgerCounts(len(entries), self._ended, chunks, sum(len(entry.acked) for entry in entries))

    def rows(self) -> list[InProgressRow]:
        """Return the rows of the in-progress table."""
        return [
            in_progress_row(entry.version, entry.chunk_size, entry.acked, entry.started)
            for entry in self._entries.values()
            if not entry.known_digest
        ]

    # -- inside

    def _add(self, version: FileVersion, chunk_size: int, started: str, identity: bytes = b"") -> Entry:
        entry = Entry(self._next_token, version, chunk_size, started, identity)
        self._next_token += 1
        self._entries[entry.token] = entry
        self._latest[version.path] = entry
        self.changed = True
        return entry

    def _add_row(self, row: InProgressRow, version: FileVersion) -> Entry:
        """Add what an earlier run left; a file that is twice in the table has what either row says."""
        twin = self._latest.get(version.path)
        if twin is not None:
            self._forget(twin)
        entry = self._add(version, row.chunk_size, row.started)
        entry.acked = RangeSet.parse(row.chunks_to_send).missing(row.n_chunks)
        if twin is not None and twin.version == version and twin.chunk_size == row.chunk_size:
            entry.acked.update(twin.acked)
        return entry

    def _renew(self, entry: Entry) -> Entry:
        """Begin a waiting file anew, as nothing that was told about it before counts any more."""
        self._forget(entry)
        successor = self._add(entry.version, self._chunk_size, entry.started)
        successor.known_digest = entry.known_digest
        successor.attempts = entry.attempts
        return successor

    def _look_again(self, entry: Entry) -> None:
        """Take a file again, whose end with a lane has come, if it has been reported meanwhile."""
        if not entry.recheck or entry.version.path in self._latest:
            return
        if entry.mixed:  # parts of it were sent earlier than the rest: comparing the whole would not tell
            self._wait(self._add(entry.version, self._chunk_size, self._now()))
        else:
            self.on_found(entry.version, by_event=True)

    def _is_superseded(self, entry: Entry) -> bool:
        return self._latest.get(entry.version.path) is not entry

    def _queue(self, entry: Entry) -> OrderedDict[int, Entry]:
        return self._waiting_small if entry.is_small else self._waiting_large

    # Every change of a state is one of these, and begins with `_leave`.

    def _wait(self, entry: Entry, first: bool = False) -> None:
        self._leave(entry)
        entry.failure = ""
        if entry.version.path in self._active:
            entry.state = State.BEHIND
            return
        entry.state = State.WAITING
        queue = self._queue(entry)
        queue[entry.token] = entry
        if first:
            queue.move_to_end(entry.token, last=False)

    def _enter_lane(self, entry: Entry, lane: int) -> None:
        self._leave(entry)
        entry.state = State.ACTIVE
        entry.lane = lane
        entry.read = False
        entry.seen_again = False
        entry.mixed = bool(entry.acked)
        self._active[entry.version.path] = entry
        self._unread[lane][not entry.is_small] += 1
        self._bytes[lane] += entry.version.size

    def _pause(self, entry: Entry, attempts: int, now: float) -> None:
        """Pause a file that was tried in vain once more after `attempts` times."""
        entry.attempts = attempts + 1
        self._pause_until(entry, now + min(_FIRST_PAUSE_S * 2 ** min(attempts, 10), _MAX_PAUSE_S))

    def _pause_until(self, entry: Entry, until: float) -> None:
        self._leave(entry)
        entry.state = State.PAUSED
        entry.resume_at = until
        heapq.heappush(self._pauses, (until, entry.token))
        if entry.attempts > 1:
            self._last_tries[entry.token] = entry

    def _end(self, entry: Entry, state: State, why: str) -> None:
        self._leave(entry)
        entry.failure = why
        entry.state = state
        self._ended += 1
        self.changed = True

    def _forget(self, entry: Entry) -> None:
        del self._entries[entry.token]
        if self._latest.get(entry.version.path) is entry:
            del self._latest[entry.version.path]
        self._leave(entry)
        self.changed = True

    def _leave(self, entry: Entry) -> None:
        """Take an entry out of what its state has it in; what was behind it has its turn."""
        state, entry.state = entry.state, State.BEHIND  # which is in nothing
        if state is State.BEHIND:
            return
        if state is State.WAITING:
            self._queue(entry).pop(entry.token, None)
        elif state is State.PAUSED:
            self._last_tries.pop(entry.token, None)
        elif state in ENDED:
            self._ended -= 1
        elif state is State.ACTIVE:
            path = entry.version.path
            self._bytes[entry.lane] -= entry.version.size
            if not entry.read:
                self._unread[entry.lane][not entry.is_small] -= 1
            entry.lane = -1
            del self._active[path]
            follower = self._latest.get(path)
            if follower is not None and follower is not entry and follower.state is State.BEHIND:
                self._wait(follower)
