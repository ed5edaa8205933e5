"""The watcher and the lanes of a run, and their replacement."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dfud.errors import WorkerError
from dfud.logs.completed.shard_copy import ShardCopy
from dfud.logs.layout import LogsFolder
from dfud.messages import Drain, LogsReplaced, Reconsider, ShardsDisturbed, Sweep
from dfud.processes.workers import Worker, WorkerPool
from dfud.uploading.lanes import Lane, WatcherProcess, start_watcher
from dfud.watch.watcher import WatchOptions

AnyWorker = Worker[Any, Any]


class Fleet:
    """Responsible for there being one watcher and all lanes, and for what each of them must know of the end."""

    def __init__(
        self,
        pool: WorkerPool,
        folder: LogsFolder,
        watch: WatchOptions,
        watcher: WatcherProcess,
        lanes: list[Lane],
        start_watcher: Callable[[WorkerPool, WatchOptions], WatcherProcess] = start_watcher,
    ) -> None:
        """Own `watcher` and `lanes`, which were started from `pool`."""
        self.watcher = watcher
        self.lanes = lanes
        self._pool = pool
        self._folder = folder
        self._watch = watch
        self._start_watcher = start_watcher
        self._draining = False
        self._swept = False
        self.sweep = 1  # number of the last sweep, the answer to which counts

    @property
    def workers(self) -> list[AnyWorker]:
        """All workers."""
        return [self.watcher, *(worker for lane in self.lanes for worker in lane.workers)]

    @property
    def shard_copies(self) -> list[ShardCopy]:
        """Copies of all shards of this run."""
        return [copy for lane in self.lanes for copy in lane.copies]

    def lane_of(self, worker: AnyWorker) -> Lane:
        """Return the lane of a chunker or producer."""
        return next(lane for lane in self.lanes if worker in lane.workers)

    def drain(self) -> None:
        """Ask the watcher for its last sweep, and the producers to give up when nothing is acknowledged."""
        self._draining = True
        self.watcher.channel.post([Sweep(self.sweep)])
        for lane in self.lanes:
            lane.producer.channel.post([Drain()])

    def reconsider(self, path: bytes) -> None:
        """Let the watcher report a file again when it is ready; a sweep that is under way waits for that."""
        self.watcher.channel.post([Reconsider(path)])
        if self._draining:
            self.sweep += 1
            self.watcher.channel.post([Sweep(self.sweep)])

    def on_swept(self) -> None:
        """Remember that the last sweep is done: no other watcher needs to repeat it."""
        self._swept = True

    def on_logs_replaced(self) -> None:
        """Let the watcher know which folder is LOGS now."""
        self._watch = self._watch._replace(logs=self._folder.identity)
        self.watcher.channel.post([LogsReplaced(*self._folder.identity)])

    def check_shards(self) -> None:
        """Let the producers look whether the shards that they write are in place."""
        for lane in self.lanes:
            lane.producer.channel.post([ShardsDisturbed()])

    def replace_watcher(self, moved_in: tuple[bytes, ...], set_back_ns: int = 0) -> WatcherProcess:
        """Start another watcher in the place of one that has died.

        Its first scan finds what happened meanwhile, also in the folders `moved_in`, whose files may look old, and
        after the clock was set back by `set_back_ns`.
        """
        self._pool.discard(self.watcher)
        watch = self._watch._replace(
            moved_in=moved_in,
            since_ns=self._watch.since_ns - set_back_ns,
            compare_since_ns=self._watch.compare_since_ns - set_back_ns,
        )
        self.watcher = self._start_watcher(self._pool, watch)
        if self._draining and not self._swept:
            self.watcher.channel.post([Sweep(self.sweep)])
        return self.watcher

    def replace_lane(self, lane: Lane) -> None:
        """Start both workers of `lane` anew after its producer has died; WorkerError if LOGS cannot be read."""
        try:
            known = max((copy.last_sequence for copy in lane.copies), default=0)  # LOGS may have been removed
            first_shard = max(self._folder.next_sequence(), known + 1)
        except OSError as error:
            raise WorkerError(f"cannot read {self._folder.path}: {error.strerror}; ending") from None
        lane.replace_both(first_shard)
        if self._draining:
            lane.producer.channel.post([Drain()])

    def kill(self) -> None:
        """Kill every worker that is still running."""
        self._pool.kill_all()
