"""Watching a directory while no broker answers yet: what arrives meanwhile is a task of the run, killed or not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dfud.errors import DfudError
from dfud.logs.session import Session
from dfud.messages import DirectoryGone, FolderMovedIn, FromWatcher, LogsDisturbed, WatchStarted
from dfud.processes.event_loop import EventLoop
from dfud.processes.workers import Worker
from dfud.uploading.lanes import WatcherProcess


class EarlyWatch:
    """Responsible for a watcher that may not report files yet, until a supervisor takes it over."""

    def __init__(self, loop: EventLoop, session: Session, start: Callable[[], WatcherProcess]) -> None:
        """Start a watcher by `start`, and handle what it reports in `loop`."""
        self._loop = loop
        self._session = session
        self._start = start
        self.messages: list[FromWatcher] = []  # that are left to the supervisor
        self.watcher = start()
        loop.watch(self.watcher, self._on_message, self._on_death)

    @property
    def is_watching(self) -> bool:
        """Whether the watcher has begun."""
        return any(isinstance(message, WatchStarted) for message in self.messages)

    def hand_over(self) -> WatcherProcess:
        """Return the watcher, which nobody listens to from now on."""
        self._loop.unwatch(self.watcher)
        return self.watcher

    def _on_message(self, message: FromWatcher) -> None:
        if isinstance(message, FolderMovedIn):
            self._session.add_moved_in(message.path)
        elif isinstance(message, DirectoryGone):
            raise DfudError(message.reason)
        elif not isinstance(message, LogsDisturbed):  # LOGS is checked at the start of the run anyway
            self.messages.append(message)

    def _on_death(self, worker: Worker[Any, Any]) -> None:
        self._loop.unwatch(worker)
        self._loop.count_death(worker)
        self.messages.clear()  # the new one begins again
        self.watcher = self._start()
        self._loop.watch(self.watcher, self._on_message, self._on_death)
