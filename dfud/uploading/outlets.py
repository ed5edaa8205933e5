"""Where the state of a run goes: to the status file, and to whatever else tells those outside how it is doing."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Protocol

from dfud.logs.upload_status import UploadStatus
from dfud.processes.workers import WorkerPool


class Outlet(Protocol):
    """Something that is told the state of a run, in the process of the supervisor.

    It never raises, never waits, and never ends the run: what does not work is logged once. As workers are forked
    from this process, it has neither a thread nor a librdkafka handle; what needs those is a worker of its own.
    """

    @property
    def due(self) -> float | None:
        """When it wants to have its turn even if nothing happens (s, monotonic); None for never."""

    def turn(self, now: float, describe: Callable[[], UploadStatus]) -> None:
        """Do what is due at `now` (s, monotonic); `describe` visits all files in progress, so it is not free."""

    def end(self, status: UploadStatus) -> None:
        """Take the last state of the run."""


class EarlyOutlet(Outlet, Protocol):
    """An outlet that is made before the log is open, and before there are workers."""

    log: logging.Logger

    def use(self, pool: WorkerPool) -> None:
        """Start a process of its own from `pool`, if it needs one."""


class Outlets:
    """Responsible for describing the run once for all outlets."""

    def __init__(self, outlets: Sequence[Outlet], describe: Callable[[], UploadStatus]) -> None:
        """Tell `outlets` what `describe` returns."""
        self._outlets = outlets
        self._describe = describe
        self._description: UploadStatus | None = None  # of this turn

    @property
    def due(self) -> float | None:
        """When the first of them wants to have its turn (s, monotonic)."""
        times = (outlet.due for outlet in self._outlets)
        return min((time for time in times if time is not None), default=None)

    def turn(self, now: float) -> None:
        """Let each of them do what is due."""
        for outlet in self._outlets:
            outlet.turn(now, self._describe_once)
        self._description = None

    def end(self, status: UploadStatus) -> None:
        """Let each of them take the last state of the run."""
        for outlet in self._outlets:
            outlet.end(status)

    def _describe_once(self) -> UploadStatus:
        if self._description is None:
            self._description = self._describe()
        return self._description
