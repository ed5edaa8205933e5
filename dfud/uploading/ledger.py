"""What the supervisor knows about every file that is detected and not yet acknowledged entirely.

A state machine without processes, files or clocks: it learns what happened and answers what to do next. A file
leaves it once every chunk is acknowledged and its row is recorded, or once its version no longer exists. What
cannot be delivered stays, with its cause.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from operator import itemgetter

from dfud.core.ranges import RangeSet
from dfud.core.tables import InProgressRow, stamp_of, version_of
from dfud.core.version import UNKNOWN_STAMP, FileStamp, FileVersion
from dfud.logs.completed.recorded import RecordedVersions
from dfud.messages import FilesTask, FileTask, Ranges
from dfud.uploading.cohorts import Cohort
from dfud.uploading.delivered_rows import DeliveredRows
from dfud.uploading.entries import Entries
from dfud.uploading.entry import ENDED, SMALL_FILE_BYTES, WITH_LANE, Entry, State
from dfud.uploading.ledger_state import LedgerState
from dfud.watch.settled import Settled

_LEASE_RETRY_INTERVAL_S = 1.0


class Ledger(LedgerState):
    """Responsible for every file from its detection to its end."""

    def __init__(
        self,
        chunk_size: int,
        n_lanes: int,
        recorded: RecordedVersions,
        now: Callable[[], str],
        exactly: Callable[[], str] | None = None,
    ) -> None:
        """Begin with what is `recorded` in the completed table.

        `now` returns the time for a row, and `exactly` does by the clock of the completed rows.
        """
        self._chunk_size = chunk_size
        self.recorded = recorded
        self._now = now
        self._exactly = exactly or now
        super().__init__(Entries(n_lanes))
        self._completed_mixed: set[bytes] = set()  # identities of versions whose digest may not be their chunks'
        self._in_table = DeliveredRows()
        # Whether something was dispatched, since this was last set to False, that replaces what is recorded, or
        # what the table calls delivered: the table must be written before it is read. Otherwise a run that is
        # killed leaves no trace of it, and what is recorded seems to be the last on the topic.
        self.replaces_recorded = False

    @property
    def changed(self) -> bool:
        """Whether the rows have changed since this was last set to False, which the writer of the table does."""
        return self._entries.changed

    @changed.setter
    def changed(self, changed: bool) -> None:
        self._entries.changed = changed

    # -- detection

    def on_found_together(
        self, versions: Sequence[FileVersion], stamps: Sequence[FileStamp], is_asked: bool = True
    ) -> Cohort | None:
        """Add files of one folder; return None, and add none, if `on_found` has to decide about each.

        It has if anything is known of one of them, or of its path, or if one is not small.
        """
        if max(version.size for version in versions) > SMALL_FILE_BYTES:
            return None
        paths = {version.path for version in versions}
        folder = versions[0].path.rpartition(b"/")[0]
        if len(paths) < len(versions) or self._entries.concerns(folder, paths):
            return None
        identities = [version.identity() for version in versions]
        if self.recorded.concerns(folder, identities) or any(map(self._in_table.are_void_after, paths)):
            return None
        self._completed_mixed.difference_update(identities)
        now = self._now()
        return self._entries.add_cohort(versions, stamps, identities, self._chunk_size, now, is_asked)

    def on_found(
        self,
        version: FileVersion,
        compare: bool,
        stamp: FileStamp = UNKNOWN_STAMP,
        is_asked: bool = True,
        is_found: bool = True,
    ) -> Entry | None:
        """Add a file that was detected; return its entry if it is new, None if there is nothing to do.

        Unless it `is_asked` who writes to it, a chunker does that (`take_back`). `is_found` is whether a scan of
        the next run would find it.
        """
        self._entries.unfold_at(version.path)
        latest = self._entries.latest.get(version.path)
        if latest is not None:
            if latest.version == version:
                compare = self._see_again(latest, compare, stamp)
                if not (compare and latest.state in (State.HELD, State.FAILED)):
                    return None
            elif latest.state is not State.ACTIVE:
                self._distrust(latest)  # nothing in the table remembers it any more
        identity = version.identity()
        digest = self._recorded_digest(version, identity, latest)
        if digest is not None and not compare:
            return None
        entry = self._entries.add(version, stamp, self._chunk_size, self._now(), after=latest, identity=identity)
        entry.is_asked, entry.is_found = is_asked, is_found
        if digest is not None and identity not in self._completed_mixed:
            # Rewritten within a tick of the file system's clock, or closed unchanged: only its content can tell.
            entry.known_digest = digest.hex()
        self._completed_mixed.discard(identity)
        if latest is not None and latest.state not in WITH_LANE:
            self._take_place(entry, latest)
        else:
            self._entries.wait(entry)
        return entry

    def _see_again(self, entry: Entry, compare: bool, stamp: FileStamp) -> bool:
        """Note that the version of `entry` was reported again; return whether its content may be new."""
        is_news = not (entry.is_resumed and stamp == entry.stamp)
        if stamp != entry.stamp:
            compare = compare or stamp.differs_from(entry.stamp)
            self._take_stamp(entry, stamp)
        if compare and entry.state in (State.HELD, State.FAILED):
            return True
        entry.seen_again = True
        if compare and is_news:
            entry.recheck, entry.is_resumed = True, False
            self._entries.changed = True
            if entry.state is State.PAUSED and entry.attempts <= 1:
                self._entries.wait(entry)
        return compare

    def _recorded_digest(self, version: FileVersion, identity: bytes, latest: Entry | None) -> bytes | None:
        """Return the digest of a version that the topic has, and goes on to have: nothing replaces it soon."""
        path = version.path
        if latest is not None and (latest.version == version or self._entries.is_coming(path)):
            return None
        return None if self._entries.has_rivals(path) else self.recorded.digest(version, identity)

    def _take_place(self, entry: Entry, latest: Entry) -> None:
        """Put `entry` where `latest` was, which no lane has."""
        entry.attempts = latest.attempts
        entry.named = latest.named
        entry.may_be_sent = latest.may_be_sent and latest.version == entry.version
        retry_at = self._entries.retries.time_of(latest.token) if latest.state is State.PAUSED else None
        self._entries.forget(latest)
        if retry_at is not None and entry.attempts > 1:  # it keeps changing, and each change is reported
            self._entries.pause_until(entry, retry_at)
        else:
            self._entries.wait(entry)

    def send_again(self, version: FileVersion, stamp: FileStamp) -> Entry | None:
        """Add a file that is recorded, to be sent once more; None if anything else of its path is coming."""
        path = version.path
        self._entries.unfold_at(path)
        if path in self._entries.latest or self._entries.has_rivals(path) or not self.is_recorded(version):
            return None
        entry = self._entries.add(version, stamp, self._chunk_size, self._now(), after=None)
        self._entries.wait(entry)
        return entry

    def is_recorded(self, version: FileVersion) -> bool:
        """Return whether this version is the last that the completed table has of its path."""
        return self.recorded.digest(version, version.identity()) is not None

    def unrecorded(self, identities: bytes, folders: bytes) -> list[int]:
        """Return the positions of the `identities`, 16 bytes each, for which `on_found` may have something to do.

        `folders` are the keys of all folders that the files lie in, 8 bytes each.
        """
        open_files, open_folders = self._entries.open_keys()
        if open_files and any(folders[at : at + 8] in open_files for at in range(0, len(folders), 8)):
            return list(range(len(identities) // 16))
        return list(self.recorded.unrecorded(identities, folders, open_files | open_folders))

    def settled(self, since_ns: int) -> Settled | None:
        """Return which files need no look now, if they have not changed since `since_ns`; None for none."""
        if not self.recorded:
            return None
        open_files, open_folders = self._entries.open_keys()
        return Settled(self.recorded, open_files, open_folders, since_ns)

    def resume(self, row: InProgressRow, version: FileVersion, stamp: FileStamp = UNKNOWN_STAMP) -> Entry:
        """Continue a file that an earlier run left unfinished and that still is the `version` of its `row`.

        If its `stamp` is not that of the row, nothing that was delivered counts: its content may be another.
        """
        entry = self._add_row(row, version, stamp)
        entry.is_asked, entry.is_found = bool(entry.acked), False  # the run before may have ended before it was
        self._entries.wait(entry)
        return entry

    def keep_failed(self, row: InProgressRow, reason: str) -> None:
        """Keep the row of a file that an earlier run sent in part and that cannot be finished now."""
        self._entries.end(self._add_row(row, version_of(row), stamp_of(row)), State.FAILED, reason)

    def entry(self, token: int) -> Entry | None:
        """Return the entry of `token` while it is in the ledger."""
        return self._entries.find(token)

    # -- dispatch

    def dispatch(self) -> Iterator[tuple[int, FileTask]]:
        """Yield the next tasks and the lanes that they go to, as far as the chunkers have room."""
        for waiting, small in ((self._entries.waiting_small, True), (self._entries.waiting_large, False)):
            while waiting:
                entry = next(iter(waiting.values()))
                # A file that was with a lane returns to it, room or not: what is left of the earlier reading in
                # that lane's producer must not reach the topic after what is read now.
                lane = entry.lane if entry.lane >= 0 else self._entries.loads.pick(small)
                if lane is None:
                    break
                if self._entries.is_blocked(entry):
                    self._entries.wait(entry)
                    continue
                if entry.is_overtaken or (entry.recheck and not entry.mixed):
                    entry = self._renew(entry)
                if not entry.known_digest:
                    self._replace(entry)
                self._entries.enter_lane(entry, lane)
                yield lane, entry.task()

    def dispatch_together(self) -> Iterator[tuple[int, FilesTask]]:
        """Yield the tasks of the cohorts that wait, as `dispatch` does for single files.

        They replace nothing. Files that are single are few, and may go before them.
        """
        waiting = self._entries.cohorts.waiting
        while waiting:
            lane = self._entries.loads.pick(small=True)
            if lane is None:
                break
            cohort = waiting.popleft()
            self._entries.enter_lane_together(cohort, lane)
            yield lane, cohort.task()

    def _replace(self, entry: Entry) -> None:
        """Note what counts no more once `entry`, which is about to be dispatched, is sent."""
        path = entry.version.path
        for rival in self._entries.rivals(entry):
            if rival.acked or rival.lane >= 0:  # its lane may still report what was acknowledged
                rival.is_overtaken = True
                self._entries.changed = True
        entry.was_maybe_sent, entry.may_be_sent = entry.may_be_sent, True
        voids_rows = self._in_table.are_void_after(path) and not entry.acked
        is_replaced = self.recorded.is_replaced_by(entry.version, entry.identity)
        entry.replaces = entry.replaces or is_replaced
        if voids_rows or is_replaced:
            self.replaces_recorded = True

    def resume_paused(self, now: float) -> None:
        """Enqueue the files whose pauses have ended at `now` (s, monotonic)."""
        for token in self._entries.retries.pop_due(now):
            self._entries.wait(self._entries.by_token[token])

    @property
    def next_resumption(self) -> float | None:
        """When the next pause ends (s, monotonic), or None."""
        return self._entries.retries.next_time

    # -- reports of chunkers

    def mark_all_read(self, tokens: Iterable[int]) -> None:
        """Record that the producer has all of each of these files."""
        for cohort, group in groupby(tokens, self._entries.cohorts.by_token.get):
            if cohort is not None:
                self._entries.mark_read_in(cohort, group)
                continue
            for entry in map(self._entries.by_token.get, group):
                if entry is not None and entry.state in WITH_LANE and not entry.is_read:
                    self._entries.loads.mark_read(entry)

    def mark_read(self, token: int) -> None:
        """Record that the producer has all of the file."""
        self.mark_all_read((token,))

    def on_unchanged(self, token: int) -> None:
        """Forget a file that was closed again with the content that is on the topic already."""
        entry = self._entries.find(token)
        if entry is not None:
            self._entries.forget(entry)
            if entry.recheck:
                self._recheck(entry)

    def take_back(self, token: int) -> Entry | None:
        """Forget a file that somebody may still write to, which only its chunker has asked; return its entry.

        Nothing of it was passed on. Return None if that is no such file, or was reported once more since:
        `on_changed` knows what to do then.
        """
        entry = self._entries.find(token)
        if entry is None or entry.is_asked or entry.state is not State.ACTIVE:
            return None
        if entry.recheck or entry.seen_again or self._entries.is_superseded(entry):
            return None
        entry.may_be_sent = entry.was_maybe_sent
        self._drop(entry)
        return entry

    def on_changed(
        self,
        token: int,
        version: FileVersion,
        being_written: bool,
        now: float,
        stamp: FileStamp = UNKNOWN_STAMP,
    ) -> Entry | None:
        """Replace a file by its present `version`; return the entry of its replacement, if any."""
        entry = self._entries.find(token)
        if entry is None:
            return None
        latest = self._entries.latest[version.path]
        if latest is not entry:
            # A newer version was reported meanwhile. If that happens at each attempt, there are fewer of them.
            self._drop(entry)
            latest.attempts = max(latest.attempts, entry.attempts + 1)
            if latest.state is State.WAITING and latest.attempts > 1:
                self._entries.pause(latest, latest.attempts - 1, now)
            return None
        if being_written and not (entry.recheck or entry.seen_again):
            entry.known_digest = ""  # from now on it has a row
            self._entries.end(entry, State.HELD, "it is still being written")
            return None
        if being_written:  # reported since, as it was: `version` was something in between
            version, stamp = entry.version, entry.stamp
        if version != entry.version:
            self._distrust(entry)
        self._entries.forget(entry)
        successor = self._entries.add(version, stamp, self._chunk_size, self._now(), after=entry)
        successor.is_asked, successor.is_found = entry.is_asked, entry.is_found
        successor.may_be_sent = entry.may_be_sent and version == entry.version
        successor.tried_last = entry.tried_last
        successor.replaces = bool(entry.known_digest)
        if entry.known_digest and version == entry.version:  # its content differs at the same size and mtime
            self._entries.wait(successor)
        else:
            self._entries.pause(successor, entry.attempts, now)
        return successor

    def on_read_error(self, token: int, gone: bool, reason: str, now: float, lease_s: float = 0.0) -> Entry | None:
        """Pause, fail or forget a file that could not be read; return its entry if the user should know.

        `lease_s` is how long to wait for another program's lease on it, before that is an error like any other.
        """
        entry = self._entries.find(token)
        if entry is None or entry.state not in WITH_LANE:
            return None
        if entry.state is State.GIVEN_UP:
            self._release(entry)
            return None
        if gone and entry.seen_again and not self._entries.is_superseded(entry):
            self._entries.pause(entry, entry.attempts, now)  # its folder was moved away and back
            return None
        if self._entries.is_superseded(entry) or (gone and not entry.acked):
            # A newer version follows, or nothing on the topic needs finishing.
            self._drop(entry)
            return entry
        if gone:
            self._entries.end(entry, State.FAILED, reason)
            return entry
        if lease_s:
            entry.lease_ends = entry.lease_ends or now + lease_s
            if now < entry.lease_ends:
                self._entries.pause_until(entry, now + _LEASE_RETRY_INTERVAL_S)
                return None
        entry.failure = reason
        attempts = entry.attempts
        if lease_s:
            attempts, entry.tried_last = max(attempts, 1), True  # it was tried all the time
        self._entries.pause(entry, attempts, now)
        return entry if not entry.named else None

    # -- reports of producers

    def on_acked(self, token: int, chunks: Ranges) -> None:
        """Record that chunks were acknowledged."""
        entry = self._entries.find(token)
        if entry is not None:
            entry.on_acked(chunks)
            self._entries.changed = True

    def cohort(self, token: int) -> Cohort | None:
        """Return the cohort that the file of `token` is in."""
        return self._entries.cohorts.by_token.get(token)

    def by_cohort(self, digests: Mapping[int, str]) -> Iterator[tuple[Cohort | None, dict[int, str]]]:
        """Yield the digests of files by the cohorts that they are in, None for single ones."""
        cohort_of = self._entries.cohorts.by_token.get
        for cohort, group in groupby(zip(map(cohort_of, digests), digests.items()), itemgetter(0)):
            members = dict(map(itemgetter(1), group))
            # What was done with the files before may have made entries of these.
            yield cohort_of(next(iter(members))) and cohort, members

    def on_completed_together(self, cohort: Cohort, tokens: Sequence[int]) -> None:
        """Forget files of a cohort of which every chunk is acknowledged and the row is written."""
        self._entries.forget_together(cohort, tokens)

    def on_completed(self, token: int) -> Entry | None:
        """Forget a file of which every chunk is acknowledged and the row is written; return its entry.

        If it was reported once more meanwhile, its content is compared with what was sent; the caller must have
        made the digest known before.
        """
        entry = self._entries.find(token)
        if entry is None:
            return None
        self._entries.forget(entry)
        if entry.mixed and not entry.is_resumed:
            self._completed_mixed.add(entry.identity)
        if entry.recheck:
            self._recheck(entry)
        return entry

    def send_smaller(self, token: int) -> Entry | None:
        """Begin a file again whose chunks are refused as too large, if they are larger than new ones would be.

        Return its new entry, or None if it has failed.
        """
        entry = self._entries.find(token)
        if entry is None or entry.state is not State.ACTIVE or entry.chunk_size <= self._chunk_size:
            return None
        if self._entries.is_superseded(entry):
            return None
        successor = self._renew(entry)
        self._entries.wait(successor)
        return successor

    def on_undelivered(self, token: int, reason: str) -> Entry | None:
        """Fail a file that the producer could not deliver; return its entry if the user should know."""
        entry = self._entries.find(token)
        if entry is None or entry.state is State.FAILED:
            return None
        if entry.state is State.GIVEN_UP:
            self._release(entry)
            return None
        if self._entries.is_superseded(entry):
            self._drop(entry)
            return None
        self._distrust(entry)
        self._entries.end(entry, State.FAILED, reason)
        return entry

    # -- ends

    def void_acked(self) -> None:
        """Count nothing as acknowledged any more: the topic that it was on is gone."""
        for entry in self._entries:
            entry.acked = RangeSet()
        self._entries.changed = True

    def on_lane_death(self, lane: int, producer: bool) -> int:
        """Enqueue again what a worker of `lane` had when it died; return the number of files.

        If it was the chunker, the producer is still there and may have parts, or even all, of them.
        """
        held = [
            entry
            for entry in self._entries
            if entry.lane == lane and entry.state in WITH_LANE and (producer or not entry.is_read)
        ]
        for entry in reversed(held):
            entry.mixed = not producer
            if entry.state is State.GIVEN_UP:
                self._release(entry)
            elif self._entries.is_superseded(entry):
                self._drop(entry)  # a newer version is read in its place
            else:
                self._entries.wait(entry, first=True)
        if producer:
            for entry in self._entries:
                if entry.lane == lane:
                    entry.lane = -1
                    entry.mixed = False
        return len(held)

    def give_up(self, reason: str) -> list[Entry]:
        """Fail everything, as nothing more can be delivered; return the entries.

        A file that is only being compared is not affected: that needs no broker, and no row remembers it. A file
        that is with a lane stays there until the lane reports its end: it may yet be completed.
        """
        given_up = [entry for entry in self._entries if entry.state not in ENDED and not entry.known_digest]
        for entry in given_up:
            if self._entries.is_superseded(entry):
                self._distrust(entry)  # it has no row from now on
            else:
                entry.failure = entry.failure or reason
            if entry.state is State.ACTIVE:
                self._entries.give_up(entry)
            else:
                self._entries.end(entry, State.FAILED, entry.failure)
        return given_up

    def fail_paused(self) -> list[Entry]:
        """Try the files that are paused a last time, as the program is to end, and fail those that were.

        Returns those that failed. A file that has changed only once, or has a lease on it, may wait longer.
        """
        failed = []
        for entry in [*self._entries.unreadable.values(), *self._entries.last_tries.values()]:
            if entry.tried_last:
                self._entries.end(entry, State.FAILED, entry.failure or "it keeps changing while it is read")
                failed.append(entry)
            else:
                entry.tried_last = True
                self._entries.wait(entry)
        return failed

    def on_written(self, rows: Iterable[InProgressRow]) -> None:
        """Note what the in-progress table has now."""
        self._in_table = DeliveredRows(version_of(row).path for row in rows if row.n_chunks_delivered)

    # -- internals

    def _take_stamp(self, entry: Entry, stamp: FileStamp) -> None:
        """Keep the stamp of a newer report of the same version, as far as it says anything."""
        entry.stamp = FileStamp(stamp.ctime_ns or entry.stamp.ctime_ns, stamp.inode or entry.stamp.inode)
        self._entries.changed = True

    def _add_row(self, row: InProgressRow, version: FileVersion, stamp: FileStamp) -> Entry:
        """Add a file of an earlier run; two rows for the same file are merged if their chunks are the same."""
        twin = self._entries.latest.get(version.path)
        if twin is not None:
            self._entries.forget(twin)
        entry = self._entries.add(version, stamp, row.chunk_size, row.started, after=None)
        if not stamp.differs_from(stamp_of(row)):
            entry.acked = RangeSet.parse(row.chunks_to_send).missing(row.n_chunks)
        entry.may_be_sent = True
        entry.is_resumed = stamp.proves_same(stamp_of(row))
        if twin is not None and twin.version == version and twin.chunk_size == row.chunk_size:
            entry.on_acked(twin.acked)
            entry.is_resumed &= twin.is_resumed
        return entry

    def _renew(self, entry: Entry) -> Entry:
        """Replace a waiting entry by one to which no earlier report applies."""
        self._entries.forget(entry)
        successor = self._entries.add(entry.version, entry.stamp, self._chunk_size, entry.started, after=entry)
        successor.known_digest = entry.known_digest
        successor.may_be_sent = entry.may_be_sent
        successor.attempts = entry.attempts
        successor.named = entry.named
        successor.tried_last = entry.tried_last
        successor.lease_ends = entry.lease_ends
        successor.is_asked, successor.is_found = entry.is_asked, entry.is_found
        return successor

    def _drop(self, entry: Entry) -> None:
        """Forget an entry that is not completed."""
        self._distrust(entry)
        self._entries.forget(entry)

    def _distrust(self, entry: Entry) -> None:
        """Forget what an entry replaces if a producer may have sent all of it, and not have said so."""
        if entry.may_be_sent:
            self.recorded.distrust(entry.version, self._exactly())

    def _recheck(self, entry: Entry) -> None:
        """Add a file once more that was completed or found unchanged, and closed again meanwhile."""
        if entry.version.path not in self._entries.latest:
            self.on_found(entry.version, True, entry.stamp)

    def _release(self, entry: Entry) -> None:
        """Fail a file for good that was given up, as its lane has ended it without completing it."""
        if self._entries.is_superseded(entry):
            self._drop(entry)
        else:
            self._distrust(entry)
            self._entries.end(entry, State.FAILED, entry.failure)
