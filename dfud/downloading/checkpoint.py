"""Committing offsets, only after everything before them is on disk."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from dfud.downloading.disk import DiskReporter
from dfud.downloading.offsets import Position
from dfud.downloading.owed_receipts import Owed, OwedReceipts
from dfud.downloading.part_store import PartStore
from dfud.downloading.parts_folder import PartsFolder
from dfud.downloading.unsaved import Snapshot

_MIN_INTERVAL_S = 2.0  # between checkpoints
_COST_FACTOR = 4  # the interval is also at least this many times as long as the last checkpoint took


class Checkpoint:
    """A snapshot that a thread of its own puts on disk while more messages are taken."""

    def __init__(
        self, snapshot: Snapshot, positions: dict[int, Position], folder: PartsFolder, sync: Callable[[], None]
    ) -> None:
        """Start to put `snapshot` on disk."""
        self.snapshot = snapshot
        self.positions = positions  # by partition, of the first message that is not in the snapshot
        self.error: OSError | None = None
        self.seconds = 0.0  # that it took
        self._folder = folder
        self._sync = sync
        self._started = time.monotonic()
        self._thread = threading.Thread(target=self._save, daemon=True)
        self._thread.start()

    @property
    def is_over(self) -> bool:
        """Whether it has succeeded or failed."""
        return not self._thread.is_alive()

    def wait(self) -> None:
        """Wait until it is over."""
        self._thread.join()

    def _save(self) -> None:
        """Sync the bytes, only then publish the metadata that lists them, and sync that, too."""
        metadata = self.snapshot.metadata
        try:
            for name, text in metadata:
                self._folder.write_metadata(name, text)
            self._sync()
            for name, _ in metadata:
                self._folder.publish_metadata(name)
            if metadata:
                self._sync()
        except OSError as error:
            self.error = error
        self.seconds = time.monotonic() - self._started


class Checkpoints:
    """Responsible for when offsets are committed, and which."""

    def __init__(
        self,
        store: PartStore,
        folder: PartsFolder,
        sync: Callable[[], None],
        commit: Callable[[dict[int, Position]], None],
        disk_reporter: DiskReporter,
        receipts: OwedReceipts | None = None,
    ) -> None:
        """`sync` puts all that was written on disk; `commit` is given positions by partition.

        With `receipts`, those of the files that positions cover are sent before `receipts` commits them.
        """
        self._store = store
        self._folder = folder
        self._sync = sync
        self._commit = commit
        self._disk_reporter = disk_reporter
        self._receipts = receipts
        self._owed = Owed([], [])  # by the running checkpoint
        self._running: Checkpoint | None = None
        self._committed: dict[int, Position] = {}
        self._next = time.monotonic() + _MIN_INTERVAL_S
        self._is_failing = False

    def on_commit_failed(self) -> None:
        """Commit everything again with the next checkpoint."""
        self._committed.clear()

    @property
    def is_due(self) -> bool:
        """Whether `run_due` may have something to do."""
        return self._running is not None or time.monotonic() >= self._next

    def run_due(self, positions: dict[int, Position], at_once: bool = False) -> None:
        """Start or end a checkpoint if it is time, without waiting.

        `positions` are those by partition after the messages taken so far. If it is needed `at_once`, it begins
        before its time.
        """
        if self._running is not None:
            if self._running.is_over:
                self.end()
        elif (at_once or time.monotonic() >= self._next) and self._has_news(positions):
            self.start(positions)

    def _has_news(self, positions: dict[int, Position]) -> bool:
        return positions != self._committed or (self._receipts is not None and self._receipts.has_placed)

    def finish(self, positions: dict[int, Position]) -> bool:
        """Put everything on disk and commit; return whether that succeeded."""
        if self._running is not None:
            self.end()
        self.start(positions)
        return self.end()

    def start(self, positions: dict[int, Position]) -> None:
        """Start a checkpoint; there must not be one already."""
        if self._receipts is not None:
            self._owed = self._receipts.take()
        self._running = Checkpoint(self._store.snapshot(), dict(positions), self._folder, self._sync)

    def wait(self) -> Checkpoint:
        """Wait until the checkpoint that was started is over, and return it."""
        assert self._running is not None
        self._running.wait()
        return self._running

    def end(self) -> bool:
        """Commit the offsets of the checkpoint that was started, once it is on disk; return whether it is."""
        checkpoint, self._running = self.wait(), None
        self._next = time.monotonic() + max(_MIN_INTERVAL_S, _COST_FACTOR * checkpoint.seconds)
        if checkpoint.error is not None:
            self._store.on_save_failed(checkpoint.snapshot)
            if self._receipts is not None:
                self._receipts.put_back(self._owed)
            self._is_failing = True
            self._disk_reporter.on_failure(checkpoint.error)
            return False
        if self._is_failing:
            self._is_failing = False
            self._disk_reporter.on_success()
        self._store.on_saved(checkpoint.snapshot)
        positions = checkpoint.positions.items()
        changed = {number: each for number, each in positions if self._committed.get(number) != each}
        self._committed.update(changed)
        if self._receipts is not None:
            self._receipts.commit(self._owed, changed)
        elif changed:
            self._commit(changed)
        return True
