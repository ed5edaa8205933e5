"""Polling: for file systems that do not report what others write, such as NFS and CIFS."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator

from dfud.files.scan import Folder, ScannedFile, WatchedTree
from dfud.messages import FileFound
from dfud.watch.before import FilesLeftBefore
from dfud.watch.inspector import Inspector

_MIN_PAUSE_S = 1.0  # between rounds
_PAUSE_FACTOR = 20  # a pause is this many times as long as the round before it: polling uses 5 % of a core at most

_CANARY_PAUSE_S = 1.0  # between looks for the canary


class PollingSource:
    """Files below one folder that are new, or have changed, from one round to the next."""

    def __init__(
        self,
        tree: WatchedTree,
        inspector: Inspector,
        before: FilesLeftBefore | None,
        take_all: bool,
        top: bytes = b"",
        compare_since_ns: int = 0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Poll the folder `top` of `tree`.

        Unless `take_all`, the first round skips files that did not change since the run began, and adds them to
        `before`. Files that changed since `compare_since_ns` may have new content at the same size and mtime.
        """
        self._tree = tree
        self._inspector = inspector
        self._before = before
        self._clock = clock
        self._take_all = take_all
        self.top = top
        self._compare_since_ns = compare_since_ns
        self._is_first_round = True
        # Hashes of the versions that were named or are not wanted, and of their ctimes and inodes: smaller than
        # paths. Two versions of a file have the same hash about as often as a bit flips in memory.
        self._known: dict[int, int] = {}
        self._round: Iterator[tuple[ScannedFile, bool] | None] | None = None  # in progress
        self._is_sweeping = False  # the last sweep's round is not done
        self._round_start = 0.0
        self._next_round = clock()
        self._canary = b""  # path of its file
        self._seen_canary: tuple[int, int] | None = None  # inode and mtime
        self._canary_found = False  # since `pop_canary`

    def fileno(self) -> int:
        """Return -1: there are no events."""
        return -1

    def timeout(self, now: float) -> float | None:
        """Return the seconds until the next round, or look for the canary; None during a round."""
        if self._round is not None:
            return None
        pause_s = max(0.0, self._next_round - now)
        return min(pause_s, _CANARY_PAUSE_S) if self._canary else pause_s

    @property
    def has_pending(self) -> bool:
        """Whether a round is in progress, and can go on."""
        return self._round is not None and not self._inspector.is_full

    @property
    def is_sweep_done(self) -> bool:
        """Whether the round that the last sweep needs is done."""
        return self._round is None and not self._is_sweeping

    def pop_notices(self) -> list[tuple[int, str]]:
        """Return what is to be logged since the last call, each text with its level."""
        return self._tree.pop_notices()

    def close(self) -> None:
        """Do nothing: the kernel holds nothing for this source."""

    def start_sweep(self) -> list[bytes]:
        """Begin a round at once; nothing waits."""
        self._is_sweeping = True
        self._begin_round()
        return []

    def process_events(self) -> None:
        """Begin the next round if it is due."""
        if self._round is None and self._clock() >= self._next_round:
            self._begin_round()
        if self._canary:
            self._look_for_canary()

    def ready_files(self) -> Iterator[FileFound | None]:
        """Yield the files of this round that are ready; None in between."""
        while self._round is not None and self.has_pending:
            try:
                step = next(self._round)
            except StopIteration:
                self._end_round()
                return
            yield self._check(*step) if step else None

    def watch_canary(self, path: bytes) -> None:
        """Look for the canary's file again and again, also between rounds, which may be far apart."""
        self._canary = path

    def pop_canary(self) -> bool:
        """Return whether the canary's file was written since the last call."""
        found, self._canary_found = self._canary_found, False
        return found

    def _look_for_canary(self) -> None:
        with contextlib.suppress(OSError):
            status = os.lstat(self._canary)
            seen = status.st_ino, status.st_mtime_ns
            self._canary_found |= seen != self._seen_canary
            self._seen_canary = seen

    def _begin_round(self) -> None:
        self._round_start = self._clock()
        self._round = self._tree.walk(Folder(self.top, self._take_all))

    def _end_round(self) -> None:
        now = self._clock()
        self._round = None
        if self._is_first_round and self._before is not None:
            self._before.finish(self._tree)
        self._is_first_round = False
        self._is_sweeping = False
        self._next_round = now + max(_MIN_PAUSE_S, _PAUSE_FACTOR * (now - self._round_start))

    def _check(self, file: ScannedFile, take_all: bool) -> FileFound | None:
        """Return a message for the file if it is new or has changed, and is ready."""
        version = file.version
        key, behind = hash(version), hash((file.ctime_ns, file.inode))
        known = self._known.get(key)
        if known == behind:
            return None
        if self._is_first_round and not self._tree.is_wanted(file, take_all):
            self._known[key] = behind
            if self._before is not None:
                self._before.add(version)
            return None
        # After the first round: that of a file whose size and mtime are as they were, but ctime or inode are not.
        compare = file.ctime_ns >= self._compare_since_ns if self._is_first_round else known is not None
        self._known[key] = behind  # from here on the inspector sees to it
        return self._inspector.on_scanned(file, compare)
