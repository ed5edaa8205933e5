"""What an upload does besides, if the user wants that: sealing runs, releasing files, guarding retention."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from dfud.processes.event_loop import EventLoop
from dfud.uploading.detection import Detection
from dfud.uploading.guard_maker import MakeGuard
from dfud.uploading.releases_maker import MakeReleases
from dfud.uploading.runs_maker import MakeRuns


class SideJobMakers(NamedTuple):
    """What makes each job; None for those that are not wanted."""

    runs: MakeRuns | None = None
    releases: MakeReleases | None = None
    guard: MakeGuard | None = None


NO_SIDE_JOBS = SideJobMakers()


class SideJobs:
    """Responsible for each of them having its turn, and an end."""

    def __init__(
        self, makers: SideJobMakers, detection: Detection, loop: EventLoop, write_tables: Callable[[], None]
    ) -> None:
        """Make the jobs that are wanted: they listen to `loop`, and hold back what `detection` finds."""
        self.runs = None if makers.runs is None else makers.runs(detection, loop)
        self.releases = None if makers.releases is None else makers.releases(loop, write_tables)
        self.guard = None if makers.guard is None else makers.guard(loop)

    @property
    def due(self) -> float | None:
        """When to have a turn (s, monotonic) even if nothing happens."""
        return min(self._dues(), default=None)

    def _dues(self) -> Iterator[float]:
        for job in (self.runs, self.releases, self.guard):
            if job is not None and job.due is not None:
                yield job.due

    def turn(self, now: float, is_ending: bool, has_found_all: bool, has_sent_all: bool) -> None:
        """Do what is due, in a run that `is_ending`, or that has found, and sent, all that belongs to it."""
        if self.runs is not None:
            self.runs.turn(now, has_found_all)
        if self.releases is not None:
            self.releases.turn(now, has_sent_all)
        if self.guard is not None and not is_ending:
            self.guard.turn(now)

    @property
    def has_sealed_all(self) -> bool:
        """Whether nothing is to be sent for runs any more."""
        return self.runs is None or self.runs.is_over

    @property
    def is_over(self) -> bool:
        """Whether the upload need not wait for anything that follows what it has sent."""
        return self.releases is None or self.releases.is_over

    def on_quit(self) -> None:
        """Begin no more releases: the user wants the upload to end."""
        if self.releases is not None:
            self.releases.stop()

    def on_ending(self) -> None:
        """Send nothing again any more: the run ends once all is delivered."""
        if self.guard is not None:
            self.guard.end()
