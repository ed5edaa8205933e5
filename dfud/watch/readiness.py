"""Whether a file is ready to be sent: the one place that decides, for events, scans, polling and ``--once``.

A file is ready at once if it has been closed, moved in or linked in and the kernel says that no process has it
open for writing. If one has, the file is looked at again, under this name, until that has ended: the close of a
file that was renamed or linked while it was open may be reported under another name, or not at all. If the kernel
cannot say, two looks that are some time apart must find the same.

A file that is closed again and again, such as a log, would be sent whole each time. It is taken when it has been
quiet for a while, and each time it is taken that while doubles; sooner if it has doubled in size, so that what is
sent stays in proportion to its size.

No files, no clock: the caller looks at the files, and says what time it is.
"""

from __future__ import annotations

import enum
import heapq
from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import NamedTuple

from dfud.core.version import FileVersion

SETTLING_S = 2.0  # between two equal looks at a file of which the kernel does not say who writes to it
MAX_WAITING = 100_000  # files that are not ready; what comes on top is for a scan to find later
_CREATED_DELAY_S = 1.0  # from the creation of a file to the first look, unless its close is reported before
_MIN_RECHECK_S, _MAX_RECHECK_S = 1.0, 8.0  # between looks at a file that is being written; doubled each time
_MIN_QUIET_S, _MAX_QUIET_S = 1.0, 55.0  # of a file that is closed again and again; doubled, to be sent within 60 s
_MIN_LOOK_INTERVAL_S = 1.0  # between looks at such a file
_MIN_DEFERRAL_S = 600.0  # until such a file is taken although it is never quiet; doubled each time
_MIN_PAUSE_S = 0.001  # before a look that only time calls for, however times are rounded
_REPEAT_WINDOW_S = 120.0  # without any close after which a file counts as a new one
_MAX_REPEATS = 10_000  # files that are remembered as closed again and again
_GENERATION_S, _GENERATION_SIZE = 60.0, 100_000  # of the paths that were taken lately

STILL_WRITTEN = "is still being written"
LEASED = "is held by another program's lease (a file server's oplock?)"


class Writers(enum.Enum):
    """Who, by the kernel's word, has a file open for writing."""

    NONE = "nobody"
    SOME = "some process"
    UNKNOWN = (
        "unknown"  # another user's file, or a file system on which others write without our kernel's knowledge
    )
    LEASED = "leased"  # another program has a lease on it, and has to give that up before the file can be opened


class Look(NamedTuple):
    """A file as it was at one moment."""

    version: FileVersion
    ctime_ns: int
    inode: int
    writers: Writers
    at_rest_s: float  # for how long it has not changed, where its ctime tells; otherwise 0

    def is_same(self, other: Look | None) -> bool:
        """Return whether nothing has changed between the two looks."""
        return other is not None and self[:3] == other[:3]


class _Waiting:
    """A file that is not ready."""

    __slots__ = (
        "compare", "due", "first_event", "is_left", "leased_since", "look", "looked_at", "recheck_s", "same_since",
    )  # fmt: skip

    def __init__(self, now: float) -> None:
        self.due: float | None = None  # when it is to be looked at
        self.compare = False  # an event has named it
        self.look: Look | None = None  # the last one, unless an event came after it
        self.looked_at: float | None = None  # not yet; at the end: not since it began
        self.same_since = now  # since the first of the equal looks
        self.recheck_s = _MIN_RECHECK_S  # until the next look if it is still being written
        self.leased_since: float | None = None
        self.first_event = now
        self.is_left = False  # was reported as left at the end


class _Repeat:
    """A file that is closed again and again."""

    __slots__ = ("deferral_s", "last_event", "quiet_s", "size")

    def __init__(self, now: float) -> None:
        self.quiet_s = _MIN_QUIET_S
        self.deferral_s = _MIN_DEFERRAL_S
        self.size = 0  # bytes, when it was taken last; 0 if unknown
        self.last_event = now


class Readiness:
    """Decides when each file is ready, and when to look at it again until then. Times are monotonic, in s."""

    def __init__(self, lag_s: float = 0.0, lease_break_s: float = 45.0) -> None:
        """Each file has to be quiet for `lag_s`; a lease may hold up a file for `lease_break_s` at the end."""
        self._lag_s = lag_s
        self._lease_break_s = lease_break_s
        self._waiting: dict[bytes, _Waiting] = {}
        self._schedule: list[tuple[float, bytes]] = []  # a heap; items whose time is not the file's `due` are void
        self._created: OrderedDict[bytes, float] = OrderedDict()  # path and when to look; not closed yet
        self._repeats: OrderedDict[bytes, _Repeat] = OrderedDict()
        self._recent = _RecentPaths()
        self._unsettled: set[bytes] = set()  # which the end waits for: their next look decides
        self._expected: set[bytes] = set()  # whose events came before the end
        self._is_ending = False
        self._takes_closed = False  # at the end: what nobody writes to is ready, however short it has been quiet
        self._left: dict[bytes, str] = {}  # and why
        self.has_overflowed = False  # some file was not remembered: only a scan can find it

    def __len__(self) -> int:
        """Count the files that are not ready."""
        return len(self._waiting) + len(self._created)

    # -- what happens to a file

    def on_created(self, path: bytes, now: float) -> None:
        """Note a file that a process has created and will probably close."""
        if self.is_full:
            self.has_overflowed = True
            return
        self._created[path] = now + _CREATED_DELAY_S
        self._created.move_to_end(path)

    def on_event(self, path: bytes, now: float) -> bool:
        """Note that a file was closed, moved in or linked in; return whether to look at it now."""
        self._created.pop(path, None)
        waiting = self._waiting.get(path)
        repeat = None if self._takes_closed else self._repeat(path, now)
        if waiting is not None:
            waiting.compare = True
            waiting.look = None
        if repeat is None:
            return True
        if waiting is None:
            waiting = self._wait(path, now)
            if waiting is None:
                return False
            waiting.compare = True
        looked_at = waiting.looked_at
        self._look_at(path, waiting, now if looked_at is None else max(now, looked_at + _MIN_LOOK_INTERVAL_S))
        return False

    def on_gone(self, path: bytes) -> None:
        """Forget a file that was moved away or removed."""
        self._created.pop(path, None)
        self._waiting.pop(path, None)
        self._unsettled.discard(path)
        self._left.pop(path, None)

    def is_waiting(self, path: bytes) -> bool:
        """Return whether the file will be looked at later anyway."""
        return path in self._waiting or path in self._created

    # -- looks

    def take_at_once(self, path: bytes, clock: Callable[[], float]) -> bool:
        """Take a file that nobody writes to, and of which nothing is known; return False for one to be judged.

        It does what `judge` does for most files, at a small part of the cost.
        """
        if not self.needs_no_time(path):
            return False
        if not self._is_ending:
            self._recent.add(path, clock())
        return True

    def needs_no_time(self, path: bytes) -> bool:
        """Return whether a file is ready as soon as nobody writes to it."""
        return not (self._lag_s or path in self._waiting or path in self._repeats)

    def look_again(self, path: bytes, now: float) -> None:
        """Look at a file as soon as possible, although it was ready: it has to be waited for, however many are."""
        waiting = self._waiting.get(path)
        if waiting is None:
            waiting = self._waiting[path] = _Waiting(now)
        waiting.compare = True
        if self._is_ending:
            self._unsettled.add(path)
        self._look_at(path, waiting, now)

    def judge(
        self, path: bytes, look: Look | None, now: float, compare: bool = False, scanned: bool = False
    ) -> tuple[bool, bool]:
        """Judge a file by the `look` at it, None if it is gone; `compare` if its content may be new.

        Returns whether it is ready, and if so, whether its content may be new in spite of its size and mtime.
        """
        if look is None:
            self.on_gone(path)
            return False, False
        waiting = self._waiting.get(path)
        is_open = look.writers in (Writers.SOME, Writers.LEASED)
        if not is_open and self._is_quiet(path, waiting, look, now):
            compare = compare or (waiting is not None and waiting.compare)
            self._take(path, look, now)
            return True, compare
        waiting = waiting or self._wait(path, now, scanned)
        if waiting is None:
            return False, False
        waiting.compare = waiting.compare or compare
        if is_open:
            self._on_open(path, waiting, look.writers, now)
        else:
            self._on_unquiet(path, waiting, look, now)
        waiting.looked_at = now
        return False, False

    def pop_due(self, now: float) -> bytes | None:
        """Return the next file that is to be looked at by now, None if there is none."""
        while self._created:
            path, due = next(iter(self._created.items()))
            if due > now:
                break
            del self._created[path]
            waiting = self._waiting.get(path) or self._wait(path, now)
            if waiting is None:
                continue
            waiting.compare = True
            return path
        while self._schedule and self._schedule[0][0] <= now:
            due, path = heapq.heappop(self._schedule)
            waiting = self._waiting.get(path)
            if waiting is not None and waiting.due == due:
                waiting.due = None
                return path
        return None

    def next_due(self) -> float | None:
        """Return when a file is to be looked at, None if there is none."""
        while self._schedule:
            due, path = self._schedule[0]
            waiting = self._waiting.get(path)
            if waiting is not None and waiting.due == due:
                break
            heapq.heappop(self._schedule)
        times = [self._schedule[0][0]] if self._schedule else []
        if self._created:
            times.append(next(iter(self._created.values())))
        return min(times, default=None)

    # -- the end

    def start_end(self, now: float, takes_closed: bool, expected: Iterable[bytes] = ()) -> None:
        """Look at every file now: what is not ready soon is left.

        With `takes_closed`, files that nobody writes to are ready, even those that have to be quiet longer, and
        of the files that events name from now on the end waits for the `expected` ones only.
        """
        self._is_ending = True
        self._takes_closed = takes_closed
        self._expected.update(expected)
        for path in self._created:
            self._waiting.setdefault(path, _Waiting(now)).compare = True
        self._created.clear()
        self._unsettled.update(self._waiting)
        for path, waiting in self._waiting.items():
            waiting.looked_at = None
            self._look_at(path, waiting, now)

    @property
    def is_full(self) -> bool:
        """Whether no more files can be remembered: a scan has to wait until some are ready."""
        return len(self) >= MAX_WAITING

    @property
    def is_settled(self) -> bool:
        """Whether, after `start_end`, every file is taken or left."""
        return not self._unsettled

    def pop_left(self) -> list[tuple[bytes, str]]:
        """Return the files that are left at the end, each with its reason, since the last call."""
        left, self._left = self._left, {}
        return list(left.items())

    # -- internals

    def _is_quiet(self, path: bytes, waiting: _Waiting | None, look: Look, now: float) -> bool:
        """Return whether a file that no process is known to write to has been quiet for long enough."""
        quiet_s = self._quiet_s(path, look)
        if not quiet_s or look.at_rest_s >= quiet_s:
            return True
        if waiting is None:
            return False
        if look.is_same(waiting.look) and now - waiting.same_since >= quiet_s:
            return True
        repeat = self._repeats.get(path)
        if repeat is None or look.writers is Writers.UNKNOWN or self._lag_s:
            return False
        has_doubled = 0 < 2 * repeat.size <= look.version.size
        return has_doubled or now - waiting.first_event >= repeat.deferral_s

    def _quiet_s(self, path: bytes, look: Look) -> float:
        if look.writers is Writers.UNKNOWN:
            least = max(self._lag_s, SETTLING_S)
        elif self._takes_closed:
            return 0.0
        else:
            least = self._lag_s
        repeat = self._repeats.get(path)
        return least if repeat is None or self._is_ending else max(least, repeat.quiet_s)

    def _on_open(self, path: bytes, waiting: _Waiting, writers: Writers, now: float) -> None:
        """Look again later at a file that a process has open for writing, or has a lease on."""
        waiting.look = None
        if writers is not Writers.LEASED:
            waiting.leased_since = None
        elif waiting.leased_since is None:
            waiting.leased_since = now
        if waiting.leased_since is not None and now - waiting.leased_since < self._lease_break_s:
            self._look_at(path, waiting, now + _MIN_RECHECK_S)
            return
        if self._is_ending:
            self._leave(path, waiting, STILL_WRITTEN if waiting.leased_since is None else LEASED)
        self._look_at(path, waiting, now + waiting.recheck_s)
        waiting.recheck_s = min(2 * waiting.recheck_s, _MAX_RECHECK_S)

    def _on_unquiet(self, path: bytes, waiting: _Waiting, look: Look, now: float) -> None:
        """Look again when a file will have been quiet for long enough."""
        if not look.is_same(waiting.look):
            if self._is_ending and waiting.look is not None and waiting.looked_at is not None:
                self._leave(path, waiting, STILL_WRITTEN)
            waiting.same_since = now
        waiting.look = look
        due = waiting.same_since + self._quiet_s(path, look)
        self._look_at(path, waiting, max(due, now + _MIN_PAUSE_S))

    def _leave(self, path: bytes, waiting: _Waiting, reason: str) -> None:
        self._unsettled.discard(path)
        if not waiting.is_left:
            waiting.is_left = True
            self._left[path] = reason

    def _take(self, path: bytes, look: Look, now: float) -> None:
        waiting = self._waiting.pop(path, None)
        self._unsettled.discard(path)
        self._left.pop(path, None)
        self._recent.add(path, now)
        repeat = self._repeats.get(path)
        if repeat is not None:
            repeat.quiet_s = min(2 * repeat.quiet_s, _MAX_QUIET_S)
            if waiting is not None and now - waiting.first_event >= repeat.deferral_s:
                repeat.deferral_s *= 2
            repeat.size = look.version.size

    def _repeat(self, path: bytes, now: float) -> _Repeat | None:
        """Return what is known of a file that was closed before, None if it was not."""
        repeat = self._repeats.get(path)
        if repeat is not None and now - repeat.last_event > _REPEAT_WINDOW_S:
            del self._repeats[path]
            repeat = None
        elif repeat is None and self._recent.has(path, now):
            repeat = self._repeats[path] = _Repeat(now)
            if len(self._repeats) > _MAX_REPEATS:
                self._repeats.popitem(last=False)
        if repeat is not None:
            repeat.last_event = now
            self._repeats.move_to_end(path)
        return repeat

    def _wait(self, path: bytes, now: float, scanned: bool = False) -> _Waiting | None:
        """Begin to wait for a file; None if there are too many."""
        if self.is_full:
            self.has_overflowed = True
            return None
        waiting = self._waiting[path] = _Waiting(now)
        if self._is_ending and (scanned or path in self._expected):
            self._unsettled.add(path)
        return waiting

    def _look_at(self, path: bytes, waiting: _Waiting, due: float) -> None:
        """Look at a file when it is `due`; a look that is to be earlier stays, so that events add none."""
        if waiting.due is None or waiting.due > due:
            waiting.due = due
            heapq.heappush(self._schedule, (due, path))


class _RecentPaths:
    """Remembers, within limits, the paths that were taken lately: by their hashes, in two generations."""

    def __init__(self) -> None:
        self._young: set[int] = set()
        self._old: set[int] = set()
        self._young_until = 0.0

    def add(self, path: bytes, now: float) -> None:
        if now >= self._young_until or len(self._young) >= _GENERATION_SIZE:
            self._age(now)
        self._young.add(hash(path))

    def has(self, path: bytes, now: float) -> bool:
        if now >= self._young_until:
            self._age(now)
        key = hash(path)
        return key in self._young or key in self._old

    def _age(self, now: float) -> None:
        self._old = self._young if now < self._young_until + _GENERATION_S else set()
        self._young = set()
        self._young_until = now + _GENERATION_S
