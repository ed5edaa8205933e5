"""Committing offsets, and only when all that lies before them is on disk."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from dfud.downloading.part_store import PartStore, Snapshot
from dfud.downloading.parts import PartsFolder

_MIN_INTERVAL_S = 2.0  # s between checkpoints, at the least
_COST_FACTOR = 4  # and so many times what a checkpoint takes


class Checkpoint:
    """One look at all that was written, being put on disk by a thread of its own while messages go on."""

    def __init__(
        self, snapshot: Snapshot, positions: dict[int, int], folder: PartsFolder, sync: Callable[[], None]
    ) -> None:
        self.snapshot = snapshot
        self.positions = positions  # by partition: the offset of the first message that is not in it
        self.error: OSError | None = None
        self._folder = folder
        self._sync = sync
        self._thread = threading.Thread(target=self._put_on_disk, daemon=True)
        self._began = time.monotonic()
        self.seconds = 0.0  # that it took
        self._thread.start()

    @property
    def is_over(self) -> bool:
        return not self._thread.is_alive()

    def wait(self) -> None:
        self._thread.join()

    def _put_on_disk(self) -> None:
        """Sync the bytes, and only then put the notes that tell of them in place; sync these, too."""
        notes = self.snapshot.notes
        try:
            for name, text in notes:
                self._folder.write_note(name, text)
            self._sync()
            for name, _ in notes:
                self._folder.publish_note(name)
            if notes:
                self._sync()
        except OSError as problem:
            self.error = problem
        self.seconds = time.monotonic() - self._began


class Checkpoints:
    """Responsible for when offsets are committed, and which."""

    def __init__(
        self,
        snapshot: Callable[[], Snapshot],
        shelf: PartStore,
        folder: PartsFolder,
        sync: Callable[[], None],
        commit: Callable[[dict[int, int]], None],
        tell_trouble: Callable[[str], None],
    ) -> None:
        """`commit` takes offsets by partition; `tell_trouble` why the disk fails, or "" when it is well."""
        self._snapshot = snapshot
        self._shelf = shelf
        self._folder = folder
        self._sync = sync
        self._commit = commit
        self._tell_trouble = tell_trouble
        self._running: Checkpoint | None = None
        self._committed: dict[int, int] = {}
        self._next = time.monotonic() + _MIN_INTERVAL_S
        self._in_trouble = False

    def tick(self, positions: dict[int, int]) -> None:
        """Do what is due, without ever waiting; `positions` are those after the messages taken so far."""
        if self._running is not None:
            if self._running.is_over:
                self._end()
        elif time.monotonic() >= self._next and positions != self._committed:
            self._begin(positions)

    def finish(self, positions: dict[int, int]) -> bool:
        """Put all on disk and commit; tell whether that could be done."""
        if self._running is not None:
            self._running.wait()
            self._end()
        self._begin(positions)
        self._running.wait()  # type: ignore[union-attr]
        return self._end()

    def _begin(self, positions: dict[int, int]) -> None:
        self._running = Checkpoint(self._snapshot(), dict(positions), self._folder, self._sync)

    def _end(self) -> bool:
        done, self._running = self._running, None
        assert done is not None
        self._next = time.monotonic() + max(_MIN_INTERVAL_S, _COST_FACTOR * done.seconds)
        if done.error is not None:
            self._shelf.not_saved(done.snapshot)
            self._in_trouble = True
            self._tell_trouble(done.error.strerror or str(done.error))
            return False
        if self._in_trouble:
            self._in_trouble = False
            self._tell_trouble("")
        self._shelf.saved(done.snapshot)
        fresh = {number: at for number, at in done.positions.items() if self._committed.get(number) != at}
        if fresh:
            self._commit(fresh)
            self._committed.update(fresh)
        return True
