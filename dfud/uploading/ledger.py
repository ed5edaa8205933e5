"""What the supervisor knows about every file that is detected and not yet acknowledged entirely.

A state machine without processes, files or clocks: it learns what happened and answers what to do next. A file
leaves it once every chunk is acknowledged and its row is recorded, or once its version no longer exists. What
cannot be delivered stays, with its cause.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import NamedTuple

from dfud.core.ranges import RangeSet
from dfud.core.tables import InProgressRow, in_progress_row, version_of
from dfud.core.version import FileVersion
from dfud.messages import FileTask, Ranges
from dfud.uploading.entry import ENDED, WITH_LANE, Entry, State
from dfud.uploading.lane_loads import LaneLoads
from dfud.uploading.retry_schedule import RetrySchedule

_MIN_PAUSE_S, _MAX_PAUSE_S = 1.0, 30.0  # before a file is tried again; doubled with each attempt


class Progress(NamedTuple):
    """How much there is to do."""

    files: int  # enqueued or in progress
    failed: int  # that will not be delivered in this run, or are held
    chunks: int  # of the files that are enqueued or in progress
    acked: int  # of those chunks


class Ledger:
    """Responsible for every file from its detection to its end."""

    def __init__(
        self,
        chunk_size: int,
        n_lanes: int,
        known_digest: Callable[[bytes], bytes | None],
        now: Callable[[], str],
    ) -> None:
        """`known_digest` returns the digest of a completed version by its identity; `now` the time for a row."""
        self._chunk_size = chunk_size
        self._known_digest = known_digest
        self._now = now
        self._next_token = 1
        self._entries: dict[int, Entry] = {}  # by token
        self._latest: dict[bytes, Entry] = {}  # by path
        self._with_lane: dict[bytes, Entry] = {}  # by path: only one version of a file is with a lane at a time
        self._waiting_small: OrderedDict[int, Entry] = OrderedDict()  # by token, in the order of dispatch
        self._waiting_large: OrderedDict[int, Entry] = OrderedDict()
        self._retries = RetrySchedule()  # of the paused entries
        self._last_tries: dict[int, Entry] = {}  # paused after two or more attempts, by token
        self._loads = LaneLoads(n_lanes)
        self._ended = 0  # entries in a state of ENDED
        self.changed = False  # since the in-progress table was last written; the writer resets it

    # -- detection

    def on_found(self, version: FileVersion, by_event: bool) -> Entry | None:
        """Add a file that was detected; return its entry if it is new, None if there is nothing to do."""
        latest = self._latest.get(version.path)
        same = latest is not None and latest.version == version
        if latest is not None and same and not (by_event and latest.state in (State.HELD, State.FAILED)):
            latest.seen_again = True
            if by_event:
                latest.recheck = True
                self.changed = True
                if latest.state is State.PAUSED and latest.attempts <= 1:
                    self._wait(latest)
            return None
        identity = version.identity()
        digest = None if same else self._known_digest(identity)
        if digest is not None and not by_event:
            return None
        entry = self._add(version, self._chunk_size, self._now(), after=latest, identity=identity)
        if digest is not None:
            # Rewritten within a tick of the file system's clock, or closed unchanged: only its content can tell.
            entry.known_digest = digest.hex()
        if latest is None or latest.state in WITH_LANE:
            self._wait(entry)
            return entry
        entry.attempts = latest.attempts
        retry_at = self._retries.time_of(latest.token) if latest.state is State.PAUSED else None
        self._forget(latest)
        if retry_at is not None and entry.attempts > 1:  # it keeps changing, and each change is reported
            self._pause_until(entry, retry_at)
        else:
            self._wait(entry)
        return entry

    def is_recorded(self, version: FileVersion) -> bool:
        """Return whether the completed table has this version."""
        return self._known_digest(version.identity()) is not None

    def resume(self, row: InProgressRow, version: FileVersion) -> Entry:
        """Continue a file that an earlier run left unfinished and that still is the `version` of its `row`."""
        entry = self._add_row(row, version)
        self._wait(entry)
        return entry

    def keep_failed(self, row: InProgressRow, reason: str) -> None:
        """Keep the row of a file that an earlier run sent in part and that cannot be finished now."""
        self._end(self._add_row(row, version_of(row)), State.FAILED, reason)

    def entry(self, token: int) -> Entry | None:
        """Return the entry of `token` while it is in the ledger."""
        return self._entries.get(token)

    # -- dispatch

    def dispatch(self) -> Iterator[tuple[int, FileTask]]:
        """Yield the next tasks and the lanes that they go to, as far as the chunkers have room."""
        for waiting, small in ((self._waiting_small, True), (self._waiting_large, False)):
            while waiting:
                entry = next(iter(waiting.values()))
                # A file that was with a lane returns to it, room or not: what is left of the earlier reading in
                # that lane's producer must not reach the topic after what is read now.
                lane = entry.lane if entry.lane >= 0 else self._loads.pick(small)
                if lane is None:
                    break
                if entry.recheck and not entry.mixed:
                    entry = self._renew(entry)
                self._enter_lane(entry, lane)
                yield lane, entry.task()

    def resume_paused(self, now: float) -> None:
        """Enqueue the files whose pauses have ended at `now` (s, monotonic)."""
        for token in self._retries.pop_due(now):
            self._wait(self._entries[token])

    @property
    def next_resumption(self) -> float | None:
        """When the next pause ends (s, monotonic), or None."""
        return self._retries.next_time

    # -- reports of chunkers

    def mark_read(self, token: int) -> None:
        """Record that the producer has all of the file."""
        entry = self._entries.get(token)
        if entry is not None and entry.state in WITH_LANE and not entry.is_read:
            self._loads.mark_read(entry)

    def on_unchanged(self, token: int) -> None:
        """Forget a file that was closed again with the content that is on the topic already."""
        entry = self._entries.get(token)
        if entry is not None:
            self._forget(entry)
            self._recheck(entry)

    def on_changed(self, token: int, version: FileVersion, being_written: bool, now: float) -> Entry | None:
        """Replace a file by its present `version`; return the entry of its replacement, if any."""
        entry = self._entries.get(token)
        if entry is None:
            return None
        latest = self._latest[version.path]
        if latest is not entry:
            # A newer version was reported meanwhile. If that happens at each attempt, there are fewer of them.
            self._forget(entry)
            latest.attempts = max(latest.attempts, entry.attempts + 1)
            if latest.state is State.WAITING and latest.attempts > 1:
                self._pause(latest, latest.attempts - 1, now)
            return None
        if being_written and not entry.recheck:
            entry.known_digest = ""  # from now on it has a row
            self._end(entry, State.HELD, "it is still being written")
            return None
        self._forget(entry)
        if being_written:  # closed since: `version` was an intermediate state of what was reported
            version = entry.version
        successor = self._add(version, self._chunk_size, self._now(), after=entry)
        if entry.known_digest and version == entry.version:  # its content differs at the same size and mtime
            self._wait(successor)
        else:
            self._pause(successor, entry.attempts, now)
        return successor

    def on_read_error(self, token: int, gone: bool, reason: str, now: float) -> Entry | None:
        """Pause, fail or forget a file that could not be read; return its entry if the user should know."""
        entry = self._entries.get(token)
        if entry is None or entry.state not in WITH_LANE:
            return None
        if entry.state is State.GIVEN_UP:
            self._release(entry)
            return None
        if gone and entry.seen_again and not self._is_superseded(entry):
            self._pause(entry, entry.attempts, now)  # its folder was moved away and back
            return None
        if self._is_superseded(entry) or (gone and not entry.acked):
            self._forget(entry)  # a newer version follows, or nothing on the topic needs finishing
            return entry
        if gone:
            self._end(entry, State.FAILED, reason)
            return entry
        entry.failure = reason
        self._pause(entry, entry.attempts, now)
        return entry if entry.attempts == 1 else None

    # -- reports of producers

    def on_acked(self, token: int, chunks: Ranges) -> None:
        """Record that chunks were acknowledged."""
        entry = self._entries.get(token)
        if entry is not None:
            entry.acked.update(chunks)
            self.changed = True

    def on_completed(self, token: int) -> Entry | None:
        """Forget a file of which every chunk is acknowledged and the row is written; return its entry.

        If it was reported once more meanwhile, its content is compared with what was sent; the caller must have
        made the digest known before.
        """
        entry = self._entries.get(token)
        if entry is None:
            return None
        self._forget(entry)
        self._recheck(entry)
        return entry

    def on_undelivered(self, token: int, reason: str) -> Entry | None:
        """Fail a file that the producer has given up; return its entry if the user should know."""
        entry = self._entries.get(token)
        if entry is None or entry.state is State.FAILED:
            return None
        if entry.state is State.GIVEN_UP:
            self._release(entry)
            return None
        if self._is_superseded(entry):
            self._forget(entry)
            return None
        self._end(entry, State.FAILED, reason)
        return entry

    # -- ends

    def on_lane_death(self, lane: int, producer: bool) -> int:
        """Enqueue again what a worker of `lane` had when it died; return the number of files.

        If it was the chunker, the producer is still there and may have parts, or even all, of them.
        """
        held = [
            entry
            for entry in self._entries.values()
            if entry.lane == lane and entry.state in WITH_LANE and (producer or not entry.is_read)
        ]
        for entry in reversed(held):
            entry.mixed = not producer
            if entry.state is State.GIVEN_UP:
                self._release(entry)
            elif self._is_superseded(entry):
                self._forget(entry)  # a newer version is read in its place
            else:
                self._wait(entry, first=True)
        if producer:
            for entry in self._entries.values():
                if entry.lane == lane:
                    entry.lane = -1
                    entry.mixed = False
        return len(held)

    def give_up(self, reason: str) -> list[Entry]:
        """Fail everything, as nothing more can be delivered; return the entries.

        A file that is only being compared is not affected: that needs no broker, and no row remembers it. A file
        that is with a lane stays there until the lane reports its end: it may yet be completed.
        """
        given_up = [
            entry for entry in self._entries.values() if entry.state not in ENDED and not entry.known_digest
        ]
        for entry in given_up:
            if not self._is_superseded(entry):
                entry.failure = entry.failure or reason
            if entry.state is State.ACTIVE:
                entry.state = State.GIVEN_UP
                self._ended += 1
                self.changed = True
            else:
                self._end(entry, State.FAILED, entry.failure)
        return given_up

    def fail_paused(self) -> list[Entry]:
        """Fail the files that are paused after two or more attempts, as the program is to end; return them."""
        failed = list(self._last_tries.values())
        for entry in failed:
            self._end(entry, State.FAILED, entry.failure or "it keeps changing while it is read")
        return failed

    @property
    def open_files(self) -> int:
        """The number of files that are neither failed nor held."""
        return len(self._entries) - self._ended

    @property
    def undelivered(self) -> list[Entry]:
        """The files that are failed or held, each in its latest version."""
        return [
            entry for entry in self._entries.values() if entry.state in ENDED and not self._is_superseded(entry)
        ]

    def progress(self) -> Progress:
        """Count files and chunks; this visits every entry, and is for answering a user."""
        entries = [entry for entry in self._entries.values() if entry.state not in ENDED]
        chunks = sum(entry.n_chunks for entry in entries)
        acked = sum(len(entry.acked) for entry in entries)
        return Progress(len(entries), len(self.undelivered), chunks, acked)

    def rows(self) -> list[InProgressRow]:
        """Return the rows of the in-progress table."""
        return [
            in_progress_row(entry.version, entry.chunk_size, entry.delivered, entry.started)
            for entry in self._entries.values()
            if not entry.known_digest and not (entry.state is State.GIVEN_UP and self._is_superseded(entry))
        ]

    # -- internals

    def _add(
        self, version: FileVersion, chunk_size: int, started: str, after: Entry | None, identity: bytes = b""
    ) -> Entry:
        """Add an entry in no queue yet, `after` an earlier one for the same path."""
        entry = Entry(self._next_token, version, chunk_size, started, identity)
        if after is not None:
            entry.lane = after.lane
        self._next_token += 1
        self._entries[entry.token] = entry
        self._latest[version.path] = entry
        self.changed = True
        return entry

    def _add_row(self, row: InProgressRow, version: FileVersion) -> Entry:
        """Add a file of an earlier run; two rows for the same file are merged if their chunks are the same."""
        twin = self._latest.get(version.path)
        if twin is not None:
            self._forget(twin)
        entry = self._add(version, row.chunk_size, row.started, after=None)
        entry.acked = RangeSet.parse(row.chunks_to_send).missing(row.n_chunks)
        if twin is not None and twin.version == version and twin.chunk_size == row.chunk_size:
            entry.acked.update(twin.acked)
        return entry

    def _renew(self, entry: Entry) -> Entry:
        """Replace a waiting entry by one to which no earlier report applies."""
        self._forget(entry)
        successor = self._add(entry.version, self._chunk_size, entry.started, after=entry)
        successor.known_digest = entry.known_digest
        successor.attempts = entry.attempts
        return successor

    def _recheck(self, entry: Entry) -> None:
        """Add a file that was completed or found unchanged once more if it was closed again meanwhile."""
        if not entry.recheck or entry.version.path in self._latest:
            return
        if entry.mixed:  # the recorded digest is that of one reading, the chunks may stem from another
            self._wait(self._add(entry.version, self._chunk_size, self._now(), after=entry))
        else:
            self.on_found(entry.version, by_event=True)

    def _release(self, entry: Entry) -> None:
        """Fail a file for good that was given up, as its lane has ended it without completing it."""
        if self._is_superseded(entry):
            self._forget(entry)
        else:
            self._end(entry, State.FAILED, entry.failure)

    def _is_superseded(self, entry: Entry) -> bool:
        return self._latest.get(entry.version.path) is not entry

    def _queue(self, entry: Entry) -> OrderedDict[int, Entry]:
        return self._waiting_small if entry.is_small else self._waiting_large

    # Every change of a state is one of these and begins with `_leave`, but for ACTIVE → GIVEN_UP, which leaves
    # the entry where it is.

    def _wait(self, entry: Entry, first: bool = False) -> None:
        self._leave(entry)
        entry.failure = ""
        if entry.version.path in self._with_lane:
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
        entry.is_read = False
        entry.seen_again = False
        entry.mixed = entry.mixed or bool(entry.acked)
        self._with_lane[entry.version.path] = entry
        self._loads.add(entry)

    def _pause(self, entry: Entry, attempts: int, now: float) -> None:
        """Pause a file whose attempt failed, after `attempts` that had failed before."""
        entry.attempts = attempts + 1
        self._pause_until(entry, now + min(_MIN_PAUSE_S * 2 ** min(attempts, 10), _MAX_PAUSE_S))

    def _pause_until(self, entry: Entry, time: float) -> None:
        self._leave(entry)
        entry.state = State.PAUSED
        self._retries.add(entry.token, time)
        if entry.attempts > 1:
            self._last_tries[entry.token] = entry

    def _end(self, entry: Entry, state: State, reason: str) -> None:
        self._leave(entry)
        entry.failure = reason
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
        """Take an entry out of wherever its state has it, and enqueue the version behind it, if any."""
        state, entry.state = entry.state, State.BEHIND  # the state that is in no queue
        if state is State.WAITING:
            self._queue(entry).pop(entry.token, None)
        elif state is State.PAUSED:
            self._retries.discard(entry.token)
            self._last_tries.pop(entry.token, None)
        if state in ENDED:
            self._ended -= 1
        if state in WITH_LANE:
            path = entry.version.path
            self._loads.remove(entry)
            del self._with_lane[path]
            follower = self._latest.get(path)
            if follower is not None and follower is not entry and follower.state is State.BEHIND:
                self._wait(follower)
