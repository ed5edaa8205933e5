"""What the supervisor knows of every file that is recognised and not yet wholly acknowledged.

A state machine without processes, files or clocks: it is told what happened and answers what is to be done. A
file leaves it only when every chunk is acknowledged and its row is recorded, when its version is no more, or
never: what can't be delivered stays, with its cause.
"""

from __future__ import annotations

import enum
from collections import deque
from collections.abc import Callable, Iterator
from typing import NamedTuple

from dfud.core.chunks import count_chunks
from dfud.core.ranges import RangeSet
from dfud.core.tables import InProgressRow, in_progress_row, version_of
from dfud.core.version import FileVersion
from dfud.messages import FileTask, Ranges

SMALL_FILE = 1 << 20  # bytes; a chunker does files up to this one after another, and larger ones in turn
_SMALL_AT_ONCE = 256  # files that a chunker may have been given and not yet read
_LARGE_AT_ONCE = 6
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 30.0  # s before a file that could not be read is tried again


class State(enum.Enum):
    """Where a file is on its way."""

    WAITING = "for a chunker"
    ACTIVE = "with a lane: being read, or read and not yet wholly acknowledged"
    PAUSED = "until it is tried again"
    HELD = "until its writer closes it"
    FAILED = "not to be delivered in this run"


class Entry:
    """One version of one file on its way."""

    __slots__ = (
        "acked", "attempts", "chunk_size", "failure", "identity", "known_digest", "lane", "n_chunks",
        "read", "recheck", "resume_at", "started", "state", "token", "version",
    )  # fmt: skip

    def __init__(self, token: int, version: FileVersion, identity: bytes, chunk_size: int, started: str) -> None:
        self.token = token
        self.version = version
        self.identity = identity  # of the version
        self.chunk_size = chunk_size
        self.n_chunks = count_chunks(version.size, chunk_size)
        self.started = started
        self.acked = RangeSet()
        self.state = State.WAITING
        self.lane = -1
        self.read = False  # the producer has all of it
        self.recheck = False  # the kernel reported it again after it was given to a chunker
        self.known_digest = ""  # for a file that is only compared with what is on the topic already
        self.failure = ""
        self.attempts = 0
        self.resume_at = 0.0

    @property
    def is_small(self) -> bool:
        return self.version.size <= SMALL_FILE

    def task(self) -> FileTask:
        to_send: Ranges = ((1, self.n_chunks),)
        if self.known_digest:
            to_send = ()
        elif self.acked:
            to_send = tuple(self.acked.missing(self.n_chunks))
        return FileTask(self.token, self.version, self.chunk_size, to_send, self.started, self.known_digest)


class Counts(NamedTuple):
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
        self._waiting_small: deque[Entry] = deque()
        self._waiting_large: deque[Entry] = deque()
        self._paused: set[Entry] = set()
        self._unread = [[0, 0] for _ in range(n_lanes)]  # small and large files that a chunker has
        self._bytes = [0] * n_lanes  # on their way in each lane
        self._n_lanes = n_lanes
        self._ended = 0  # entries that are failed or held
        self.changed = False  # since the table was last written; whoever writes it sets it back

    # -- recognition

    def find(self, version: FileVersion, by_event: bool) -> Entry | None:
        """Take a file that was recognised; return its entry if it is new, None if there is nothing to be done."""
        latest = self._latest.get(version.path)
        if latest is not None and latest.version == version:
            if latest.state is State.ACTIVE:
                latest.recheck = latest.recheck or by_event
            elif latest.state in (State.FAILED, State.HELD) and by_event:
                self._wait(latest)
            return None
        identity = version.identity()
        digest = self._known_digest(identity)
        if digest is not None and not by_event:
            return None
        if latest is not None and latest.state is not State.ACTIVE:
            self._forget(latest)
        entry = self._add(version, self._chunk_size, self._now(), identity)
        if digest is not None:
            # Rewritten within a tick of the file system's clock, or closed unchanged: only its content tells.
            entry.known_digest = digest.hex()
        self._wait(entry)
        return entry

    def resume(self, row: InProgressRow, version: FileVersion) -> Entry:
        """Go on with a file that an earlier run left, of which `version` is what `row` says."""
        latest = self._latest.get(version.path)
        if latest is not None:  # twice in the table: what either row has acknowledged is
            self._forget(latest)
        entry = self._add(version, row.chunk_size, row.started)
        entry.acked = RangeSet.parse(row.chunks_to_send).missing(row.n_chunks)
        if latest is not None and latest.version == version and latest.chunk_size == row.chunk_size:
            entry.acked.update(latest.acked)
        self._wait(entry)
        return entry

    def resume_lost(self, row: InProgressRow, why: str) -> None:
        """Keep the row of a file that an earlier run has sent in part and that can't be finished now."""
        entry = self._add(version_of(row), row.chunk_size, row.started)
        entry.acked = RangeSet.parse(row.chunks_to_send).missing(row.n_chunks)
        entry.failure = why
        self._end(entry, State.FAILED)

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
                lanes = [lane for lane in range(self._n_lanes) if self._unread[lane][kind] < most]
                if not lanes:
                    break
                entry = waiting.popleft()
                if entry.state is not State.WAITING or entry.token not in self._entries:
                    continue
                entry.lane = min(lanes, key=self._bytes.__getitem__)
                entry.state = State.ACTIVE
                entry.read = False
                self._unread[entry.lane][kind] += 1
                self._bytes[entry.lane] += entry.version.size
                yield entry.lane, entry.task()

    def resume_paused(self, now: float) -> None:
        """Let those files wait for a chunker whose pause is over at `now` (s, monotonic)."""
        for entry in [entry for entry in self._paused if entry.resume_at <= now]:
            self._wait(entry)

    @property
    def next_resumption(self) -> float | None:
        """When the next pause is over (s, monotonic), or None."""
        return min((entry.resume_at for entry in self._paused), default=None)

    # -- what chunkers tell

    def was_read(self, token: int) -> None:
        """The producer has all of the file."""
        entry = self._entries.get(token)
        if entry is not None and not entry.read:
            entry.read = True
            self._unread[entry.lane][not entry.is_small] -= 1

    def was_unchanged(self, token: int) -> None:
        """A file that was closed again is what is on the topic already."""
        entry = self._entries.get(token)
        if entry is not None:
            self._forget(entry)

    def has_changed(self, token: int, version: FileVersion, being_written: bool, now: float) -> Entry | None:
        """The file is another version now; return the entry of the version that takes its place, if any."""
        entry = self._entries.get(token)
        if entry is None:
            return None
        superseded = self._latest.get(version.path) is not entry
        if being_written and not superseded:
            self._leave_lane(entry)
            entry.failure = "it is still being written"
            self._end(entry, State.HELD)
            return None
        self._forget(entry)
        if superseded:
            return None
        successor = self._add(version, self._chunk_size, self._now())
        if entry.known_digest and version == entry.version:  # of other content, with the same size and time
            self._wait(successor)
        else:
            successor.attempts = entry.attempts
            self._pause(successor, now)
        return successor

    def is_unreadable(self, token: int, gone: bool, why: str, now: float) -> Entry | None:
        """The file can't be read; return its entry if that is news to be told."""
        entry = self._entries.get(token)
        if entry is None:
            return None
        if self._latest.get(entry.version.path) is not entry or (gone and not entry.acked):
            self._forget(entry)  # a newer version is on its way, or there is nothing on the topic to be finished
            return entry
        entry.failure = why
        self._leave_lane(entry)
        if gone:
            self._end(entry, State.FAILED)
            return entry
        self._pause(entry, now)
        return entry if entry.attempts == 1 else None

    # -- what producers tell

    def was_acked(self, token: int, chunks: Ranges) -> None:
        """Chunks have been acknowledged."""
        entry = self._entries.get(token)
        if entry is not None:
            entry.acked.update(chunks)
            self.changed = True

    def is_complete(self, token: int) -> Entry | None:
        """Every chunk is acknowledged and the row is written; return the entry, which is no longer ours.

        If the kernel has reported the file once more meanwhile, its content is compared with what was sent.
        The caller must have made its digest known.
        """
        entry = self._entries.get(token)
        if entry is None:
            return None
        self._forget(entry)
        if entry.recheck and entry.version.path not in self._latest:
            self.find(entry.version, by_event=True)
        return entry

    def is_undelivered(self, token: int, why: str) -> Entry | None:
        """A chunk was refused or given up; return the entry if that is news."""
        entry = self._entries.get(token)
        if entry is None or entry.state is State.FAILED:
            return None
        if self._latest.get(entry.version.path) is not entry:
            self._forget(entry)
            return None
        entry.failure = why
        self._leave_lane(entry)
        self._end(entry, State.FAILED)
        return entry

    # -- ends

    def lane_died(self, lane: int, producer: bool) -> int:
        """A worker of `lane` ended: have what it held sent again; return of how many files."""
        held = [
            entry
            for entry in self._entries.values()
            if entry.lane == lane and entry.state is State.ACTIVE and (producer or not entry.read)
        ]
        for entry in reversed(held):
            self._leave_lane(entry)
            entry.state = State.WAITING
            self._queue(entry).appendleft(entry)
        return len(held)

    def give_up(self, why: str) -> list[Entry]:
        """Nothing more can be delivered: fail all that is on its way; return it."""
        given_up = [entry for entry in self._entries.values() if entry.state not in (State.FAILED, State.HELD)]
        for entry in given_up:
            if entry.known_digest:
                self._forget(entry)
                continue
            self._leave_lane(entry)
            entry.failure = entry.failure or why
            self._end(entry, State.FAILED)
        return given_up

    def stop_pausing(self) -> list[Entry]:
        """The program is to end: fail what has been tried twice and is paused again; return it."""
        failed = [entry for entry in self._paused if entry.attempts > 1]
        for entry in failed:
            self._paused.discard(entry)
            entry.failure = entry.failure or "it keeps changing while it is read"
            self._end(entry, State.FAILED)
        return failed

    @property
    def open_files(self) -> int:
        """Files that are on their way: neither failed nor held."""
        return len(self._entries) - self._ended

    @property
    def undelivered(self) -> list[Entry]:
        """The files that are failed or held."""
        return [entry for entry in self._entries.values() if entry.state in (State.FAILED, State.HELD)]

    def count(self) -> Counts:
        """Count all; this looks at every file, and is for when a user asks."""
        entries = [entry for entry in self._entries.values() if entry.state not in (State.FAILED, State.HELD)]
        chunks = sum(entry.n_chunks for entry in entries)
        return Counts(len(entries), self._ended, chunks, sum(len(entry.acked) for entry in entries))

    def rows(self) -> list[InProgressRow]:
        """Return the rows of the in-progress table."""
        return [
            in_progress_row(entry.version, entry.chunk_size, entry.acked, entry.started)
            for entry in self._entries.values()
            if not entry.known_digest
        ]

    # -- inside

    def _add(self, version: FileVersion, chunk_size: int, started: str, identity: bytes = b"") -> Entry:
        entry = Entry(self._next_token, version, identity or version.identity(), chunk_size, started)
        self._next_token += 1
        self._entries[entry.token] = entry
        self._latest[version.path] = entry
        self.changed = True
        return entry

    def _queue(self, entry: Entry) -> deque[Entry]:
        return self._waiting_small if entry.is_small else self._waiting_large

    def _wait(self, entry: Entry) -> None:
        self._paused.discard(entry)
        if entry.state in (State.FAILED, State.HELD):
            self._ended -= 1
        entry.failure = ""
        entry.state = State.WAITING
        self._queue(entry).append(entry)

    def _pause(self, entry: Entry, now: float) -> None:
        entry.resume_at = now + min(_FIRST_PAUSE * 2**entry.attempts, _LONGEST_PAUSE)
        entry.attempts += 1
        entry.state = State.PAUSED
        self._paused.add(entry)

    def _end(self, entry: Entry, state: State) -> None:
        self._paused.discard(entry)
        entry.state = state
        self._ended += 1
        self.changed = True

    def _leave_lane(self, entry: Entry) -> None:
        if entry.state is not State.ACTIVE:
            return
        self._bytes[entry.lane] -= entry.version.size
        if not entry.read:
            self._unread[entry.lane][not entry.is_small] -= 1
        entry.lane = -1

    def _forget(self, entry: Entry) -> None:
        self._leave_lane(entry)
        self._paused.discard(entry)
        if entry.state in (State.FAILED, State.HELD):
            self._ended -= 1
        del self._entries[entry.token]
        if self._latest.get(entry.version.path) is entry:
            del self._latest[entry.version.path]
        self.changed = True
