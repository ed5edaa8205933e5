"""Polling: for file systems that do not report what others write, such as NFS and CIFS."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from dfud.core.version import FileVersion
from dfud.files.scan import Folder, ScannedFile, WatchedTree
from dfud.watch.source import Ready

_MIN_PAUSE_S = 1.0  # s between rounds
_PAUSES_A_ROUND = 20  # a round that takes long is followed by a pause of so many times that: 5 % of a core at most


class PollingSource:
    """Files that have not changed from one round to the next, or that nobody has open for writing."""

    def __init__(self, tree: WatchedTree, take_all: bool, clock: Callable[[], float] = time.monotonic) -> None:
        self._tree = tree
        self._clock = clock
        self._take_all = take_all
        self._first_round = True
        # Of what has been given, or is not wanted. It holds hashes, not paths; that two versions of a file share
        # theirs is as likely as a flipped bit in memory.
        self._seen: set[int] = set()
        self._unsettled: dict[bytes, FileVersion] = {}
        self._round: Iterator[tuple[ScannedFile, bool] | None] | None = None
        self._unsettled_now: dict[bytes, FileVersion] = {}
        self._in_doubt = False  # a file of this round may be whole or not
        self._sweep_rounds = 0
        self._began = 0.0
        self._next_round = clock()

    def fileno(self) -> int:
        return -1

    def due(self, now: float) -> float | None:
        return None if self._round is not None else max(0.0, self._next_round - now)

    @property
    def has_more(self) -> bool:
        return self._round is not None

    @property
    def is_swept(self) -> bool:
        return self._round is None and not self._sweep_rounds

    def notices(self) -> list[tuple[int, str]]:
        return self._tree.pop_notices()

    def close(self) -> None:
        """Do nothing: there is nothing to let go of."""

    def sweep(self) -> None:
        self._sweep_rounds = 2  # a file of which only time can tell that it is whole takes two
        self._begin_round()

    def take_in(self) -> None:
        if self._round is None and self._clock() >= self._next_round:
            self._begin_round()

    def ready(self) -> Iterator[Ready | None]:
        while self._round is not None:
            try:
                found = next(self._round)
            except StopIteration:
                self._end_round()
                return
            yield self._judge(*found) if found else None

    def _begin_round(self) -> None:
        self._began = self._clock()
        self._unsettled_now = {}
        self._in_doubt = False
        self._round = self._tree.walk(Folder(b"", self._take_all))

    def _end_round(self) -> None:
        now = self._clock()
        self._round = None
        self._first_round = False
        self._unsettled = self._unsettled_now
        self._sweep_rounds = max(0, self._sweep_rounds - 1) if self._in_doubt else 0
        pause = 0 if self._sweep_rounds else _PAUSES_A_ROUND * (now - self._began)
        self._next_round = now + max(_MIN_PAUSE_S, pause)

    def _judge(self, seen: ScannedFile, all_wanted: bool) -> Ready | None:
        version = seen.version
        key = hash(version)
        if key in self._seen:
            return None
        if self._first_round and not self._tree.is_wanted(seen, all_wanted):
            self._seen.add(key)
            return None
        being_written = self._tree.is_being_written(version.path)
        if being_written or (being_written is None and self._unsettled.get(version.path) != version):
            self._unsettled_now[version.path] = version
            self._in_doubt = self._in_doubt or being_written is None
            return None
        self._seen.add(key)
        return Ready(version, by_event=False)
