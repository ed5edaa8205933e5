"""Where each entry of the ledger is: by token, by path, in a queue, with a lane, or paused.

The ledger decides what happens to an entry; this moves it and keeps the counts.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import chain

from dfud.core.version import PATH_KEY_BYTES, FileStamp, FileVersion, folders_above, path_key
from dfud.uploading.cohorts import Cohort, Cohorts
from dfud.uploading.entry import NO_CHUNKS, Entry, State
from dfud.uploading.folder_counts import FolderCounts
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
        self.cohorts = Cohorts()  # files that are not entries as long as nothing concerns them
        self.waiting_small: OrderedDict[int, Entry] = OrderedDict()  # by token, in the order of dispatch
        self.waiting_large: OrderedDict[int, Entry] = OrderedDict()
        self.retries = RetrySchedule()  # of the paused entries
        self.last_tries: dict[int, Entry] = {}  # paused after two or more attempts, by token
        self.unreadable: dict[int, Entry] = {}  # paused as they could not be read at the first attempt, by token
        self._folders = FolderCounts()  # of the entries that are open
        self._ended_folders = FolderCounts()  # of those that are HELD or FAILED
        self._lane_folders = FolderCounts()  # of those that are with a lane
        self._below: dict[bytes, list[Entry]] = {}  # BEHIND a file that is where a folder of theirs is now
        self.loads = LaneLoads(n_lanes)
        self.n_ended = 0  # entries in a state of ENDED
        self.changed = False  # since this was last set to False, in a way that the in-progress table shows

    def __iter__(self) -> Iterator[Entry]:
        """Iterate over all entries, in the order of their tokens; from now on there are no cohorts."""
        for cohort in self.cohorts:
            self.unfold(cohort)
        return iter(self.by_token.values())

    def pictures(self) -> Iterator[Entry]:
        """Yield all entries to be looked at, not to be changed: those in cohorts as they would be."""
        return chain(self.by_token.values(), self.cohorts.entries())

    def __len__(self) -> int:
        """Count the entries, and what is in cohorts."""
        return len(self.by_token) + len(self.cohorts)

    def pictures_with_lane(self) -> Iterator[Entry]:
        """Yield the entries that are with a lane, as `pictures` does."""
        return chain(self.with_lane.values(), self.cohorts.with_lanes())

    @property
    def n_with_lane(self) -> int:
        """The number of files that are with a lane."""
        return len(self.with_lane) + sum(cohort.lane >= 0 for cohort in self.cohorts.by_token.values())

    def find(self, token: int) -> Entry | None:
        """Return the entry of a token, if there is one; what was a cohort with it is none any more."""
        cohort = self.cohorts.by_token.get(token)
        if cohort is not None:
            self.unfold(cohort)
        return self.by_token.get(token)

    def unfold_at(self, path: bytes) -> None:
        """Make entries of each cohort with a file at `path`, below it, or where a folder of it is now."""
        for each in (path, *folders_above(path)):
            if each in self.cohorts.by_path:
                self.unfold(self.cohorts.by_path[each])
        if path in self._folders:
            for cohort in self.cohorts:
                if (cohort.folder + b"/").startswith(path + b"/"):
                    self.unfold(cohort)

    def is_superseded(self, entry: Entry) -> bool:
        """Return whether there is a newer version of the file."""
        path = entry.version.path
        return self.latest.get(path) is not entry and path not in self.cohorts.by_path

    def has_rivals(self, path: bytes) -> bool:
        """Return whether an open entry is of a file below `path`, or of a file that is a folder above it."""
        if path in self._folders:
            return True
        while path := path.rpartition(b"/")[0]:
            if path in self.latest and self.is_coming(path):
                return True
        return False

    def rivals(self, entry: Entry) -> Sequence[Entry]:
        """Return the entries of files below the path of `entry`, and of files that are folders above it.

        None is with a lane if `entry` is not blocked. Those above are left out once another file of the folder is
        with a lane: they were found when that was dispatched.
        """
        path = entry.version.path
        found: list[Entry] = []
        if path in self._folders or path in self._ended_folders:
            below = path + b"/"
            found += (each for each in self if each.version.path.startswith(below))
        folder = entry.folder
        if folder not in self._lane_folders:
            while folder:
                if folder in self.latest:
                    found.append(self.latest[folder])
                folder = folder.rpartition(b"/")[0]
        return found

    def has_open_below(self, folder: bytes) -> bool:
        """Return whether an open entry is of a file below `folder`, which is not the directory itself."""
        return folder in self._folders

    def is_coming(self, path: bytes) -> bool:
        """Return whether an open entry is of this path: its latest version, or an earlier one that a lane has."""
        latest = self.latest.get(path)
        return latest is not None and (latest.is_open or path in self.with_lane)

    def is_blocked(self, entry: Entry) -> bool:
        """Return whether a lane has an earlier version, a file below its path, or one that is a folder above."""
        path = entry.version.path
        if path in self.with_lane or path in self._lane_folders:
            return True
        # If another file of that folder is with a lane, that one had to wait as well.
        return entry.folder not in self._lane_folders and self._file_above(entry.folder) is not None

    def _file_above(self, folder: bytes) -> bytes | None:
        """Return the path of a file that a lane has, and that is `folder` or one above it now; None for none."""
        while folder and folder not in self.with_lane:
            folder = folder.rpartition(b"/")[0]
        return folder or None

    def open_keys(self) -> tuple[set[bytes], set[bytes]]:
        """Return the keys of the paths of open entries, and of the folders that they lie in."""
        files = {entry.identity[:PATH_KEY_BYTES] for entry in self.by_token.values() if entry.is_open}
        return files | self.cohorts.path_keys(), set(map(path_key, self._folders))

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
        self._folders.enter(entry.folder)
        self.latest[version.path] = entry
        self.changed = True
        return entry

    # -- cohorts

    def concerns(self, folder: bytes, paths: Collection[bytes]) -> bool:
        """Return whether anything here is at one of `paths` in `folder`, below one, or where `folder` is."""
        files = self.latest, self.with_lane, self.cohorts.by_path
        at_or_below = *files, self._folders, self._ended_folders
        if not all(each.keys().isdisjoint(paths) for each in at_or_below):
            return True
        above = (folder, *folders_above(folder)) if folder else ()
        return not all(each.keys().isdisjoint(above) for each in files)

    def add_cohort(
        self,
        versions: Sequence[FileVersion],
        stamps: Sequence[FileStamp],
        identities: Sequence[bytes],
        chunk_size: int,
        started: str,
        is_asked: bool,
    ) -> Cohort:
        """Add small files of one folder as a cohort that waits; nothing here may concern one of them."""
        cohort = Cohort(self._next_token, versions, stamps, identities, chunk_size, started, is_asked)
        self._next_token += len(cohort)
        self.cohorts.add(cohort)
        self._folders.enter(cohort.folder, len(cohort))
        self.changed = True
        return cohort

    def enter_lane_together(self, cohort: Cohort, lane: int) -> None:
        """Move a waiting `cohort` to `lane`, whose chunker has nothing of it yet."""
        cohort.lane = lane
        self._lane_folders.enter(cohort.folder, len(cohort))
        self.loads.add_small(lane, len(cohort), sum(version.size for version in cohort.versions))

    def mark_read_in(self, cohort: Cohort, tokens: Iterable[int]) -> None:
        """Count files of a `cohort` that is with a lane as read."""
        before = len(cohort.read)
        cohort.read.update(tokens)
        self.loads.remove_small(cohort.lane, len(cohort.read) - before, 0)

    def forget_together(self, cohort: Cohort, tokens: Sequence[int]) -> None:
        """Remove some files of a `cohort` that is with a lane."""
        self.cohorts.remove(cohort, tokens)
        n_unread = len(tokens) - len(cohort.read.intersection(tokens))
        first, versions = cohort.first, cohort.versions
        self.loads.remove_small(cohort.lane, n_unread, sum(versions[token - first].size for token in tokens))
        self._folders.leave(cohort.folder, len(tokens))
        self._unblock_folders(self._lane_folders.leave(cohort.folder, len(tokens)))
        self.changed = True

    def unfold(self, cohort: Cohort) -> None:
        """Make entries of what is left of a cohort."""
        for entry in self.cohorts.take(cohort):
            self.by_token[entry.token] = entry
            self.latest[entry.version.path] = entry
            if entry.state is State.ACTIVE:
                self.with_lane[entry.version.path] = entry
            else:
                self.waiting_small[entry.token] = entry
        self.by_token = dict(sorted(self.by_token.items()))

    # -- single entries

    def forget(self, entry: Entry) -> None:
        """Remove `entry`."""
        del self.by_token[entry.token]
        if self.latest.get(entry.version.path) is entry:
            del self.latest[entry.version.path]
        self._leave(entry)
        self._folders.leave(entry.folder)
        self.changed = True

    def wait(self, entry: Entry, first: bool = False) -> None:
        """Enqueue `entry` for a chunker, or behind what is with a lane and must reach the topic before it."""
        self._leave(entry)
        entry.failure = ""
        if self.is_blocked(entry):
            entry.state = State.BEHIND
            above = None if entry.folder in self._lane_folders else self._file_above(entry.folder)
            if above is not None:
                self._below.setdefault(above, []).append(entry)
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
        if entry.acked is not NO_CHUNKS and entry.acked:
            entry.mixed = True
        self.with_lane[entry.version.path] = entry
        self._lane_folders.enter(entry.folder)
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
        self._folders.leave(entry.folder)
        self._ended_folders.enter(entry.folder)
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
        state = entry.state
        if state is State.BEHIND:  # which is in no queue
            return
        entry.state = State.BEHIND
        if state is State.WAITING:
            del self._queue(entry)[entry.token]
        elif state is State.PAUSED:
            self.retries.discard(entry.token)
            self.last_tries.pop(entry.token, None)
            self.unreadable.pop(entry.token, None)
        elif state is State.ACTIVE:
            self._leave_lane(entry)
        else:
            self.n_ended -= 1
            if state is State.GIVEN_UP:
                self._leave_lane(entry)
            else:
                self._folders.enter(entry.folder)
                self._ended_folders.leave(entry.folder)

    def _leave_lane(self, entry: Entry) -> None:
        """Take `entry` from its lane, and enqueue what was blocked by it."""
        path = entry.version.path
        self.loads.remove(entry)
        del self.with_lane[path]
        emptied = self._lane_folders.leave(entry.folder)
        latest = self.latest.get(path)
        if latest is not None and latest is not entry:
            self._unblock(latest)
        self._unblock_folders(emptied)
        if self._below:
            for follower in self._below.pop(path, ()):
                self._unblock(follower)

    def _unblock_folders(self, emptied: Sequence[bytes]) -> None:
        """Enqueue the files that are where folders were in which no file that is with a lane lies any more."""
        for folder in emptied:
            self._unblock(self.latest.get(folder))

    def _unblock(self, follower: Entry | None) -> None:
        if (
            follower is not None
            and follower.state is State.BEHIND
            and self.latest.get(follower.version.path) is follower
        ):
            self.wait(follower)
