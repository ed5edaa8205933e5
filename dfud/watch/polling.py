"""Polling: for file systems that do not report what others write, such as NFS and CIFS."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from dfud.core.version import FileVersion
from dfud.files.scan import Folder, ScannedFile, WatchedTree
from dfud.messages import FileFound

_MIN_PAUSE_S = 1.0  # between rounds
_PAUSE_FACTOR = 20  # a pause is this many times as long as the round before it: polling uses 5 % of a core at most


class PollingSource:
    """Files that no process has open for writing or, where that is unknown, that did not change between rounds."""

    def __init__(self, tree: WatchedTree, take_all: bool, clock: Callable[[], float] = time.monotonic) -> None:
        """Poll `tree`; unless `take_all`, the first round skips files that did not change since the run began."""
        self._tree = tree
        self._clock = clock
        self._take_all = take_all
        self._is_first_round = True
        # Hashes of the versions that were yielded or are not wanted: smaller than paths. Two versions of a file
        # have the same hash about as often as a bit flips in memory.
        self._known: set[int] = set()
        self._unsettled_before: dict[bytes, FileVersion] = {}  # in the round before
        self._unsettled: dict[bytes, FileVersion] = {}  # in this round
        self._round: Iterator[tuple[ScannedFile, bool] | None] | None = None  # in progress
        self._needs_next_round = False  # for a file of this round that only the next one can show to be complete
        self._sweep_rounds = 0  # that are still needed
        self._round_start = 0.0
        self._next_round = clock()

    def fileno(self) -> int:
        """Return -1: there are no events."""
        return -1

    def timeout(self, now: float) -> float | None:
        """Return the seconds until the next round; None during a round."""
        return None if self._round is not None else max(0.0, self._next_round - now)

    @property
    def has_pending(self) -> bool:
        """Whether a round is in progress."""
        return self._round is not None

    @property
    def is_sweep_done(self) -> bool:
        """Whether the rounds that the last sweep needs are done."""
        return self._round is None and not self._sweep_rounds

    def pop_notices(self) -> list[tuple[int, str]]:
        """Return what is to be logged since the last call, each text with its level."""
        return self._tree.pop_notices()

    def close(self) -> None:
        """Do nothing: the kernel holds nothing for this source."""

    def start_sweep(self) -> None:
        """Begin a round at once; another follows if there are files that the kernel knows no writers of."""
        self._sweep_rounds = 2
        self._begin_round()

    def process_events(self) -> None:
        """Begin the next round if it is due."""
        if self._round is None and self._clock() >= self._next_round:
            self._begin_round()

    def ready_files(self) -> Iterator[FileFound | None]:
        """Yield the files of this round that are ready; None in between."""
        while self._round is not None:
            try:
                step = next(self._round)
            except StopIteration:
                self._end_round()
                return
            yield self._check(*step) if step else None

    def _begin_round(self) -> None:
        self._round_start = self._clock()
        self._unsettled = {}
        self._needs_next_round = False
        self._round = self._tree.walk(Folder(b"", self._take_all))

    def _end_round(self) -> None:
        now = self._clock()
        self._round = None
        self._is_first_round = False
        self._unsettled_before = self._unsettled
        self._sweep_rounds = max(0, self._sweep_rounds - 1) if self._needs_next_round else 0
        pause = 0 if self._sweep_rounds else _PAUSE_FACTOR * (now - self._round_start)
        self._next_round = now + max(_MIN_PAUSE_S, pause)

    def _check(self, file: ScannedFile, take_all: bool) -> FileFound | None:
        """Return a message for the file if it is ready and was not yielded before."""
        version = file.version
        key = hash(version)
        if key in self._known:
            return None
        if self._is_first_round and not self._tree.is_wanted(file, take_all):
            self._known.add(key)
            return None
        being_written = self._tree.is_being_written(version.path)
        if being_written or (being_written is None and self._unsettled_before.get(version.path) != version):
            self._unsettled[version.path] = version
            self._needs_next_round = self._needs_next_round or being_written is None
            return None
        self._known.add(key)
        return FileFound(version, by_event=False)
