"""Workers that live and do nothing, as somebody has stopped them, or a disk or a file server does not answer.

Nobody else would notice: what they should do stays undone, and the run looks idle.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable

from dfud.logs.times import IsoClock
from dfud.logs.upload_status import Stall
from dfud.processes.process_state import IN_KERNEL, STOPPED, TRACED, ProcessState, process_state
from dfud.uploading.fleet import AnyWorker

_INTERVAL_S = 5.0  # between looks; what is so at two of them is reported
_MAX_IN_KERNEL_S = 30.0  # without any progress: disks and file servers take seconds


class StallCheck:
    """Responsible for saying, once, which workers have stalled, and which no longer are."""

    def __init__(
        self,
        workers: Callable[[], Iterable[AnyWorker]],
        log: logging.Logger,
        clock: Callable[[], float],
        look: Callable[[int], ProcessState | None] = process_state,
        iso_now: Callable[[], str] | None = None,
    ) -> None:
        """Look at `workers`, which others may replace at any time."""
        self._workers = workers
        self._log = log
        self._look = look
        self._iso_now = iso_now or IsoClock()
        self.due = clock() + _INTERVAL_S  # s, monotonic; of the next look
        self._seen: dict[int, tuple[ProcessState, float]] = {}  # by process id; and since when (s, monotonic)
        self._stalls: dict[int, Stall] = {}

    @property
    def stalls(self) -> tuple[Stall, ...]:
        """The workers that have stalled."""
        return tuple(self._stalls.values())

    def check_if_due(self, now: float) -> None:
        """Look at all workers if it is time (s, monotonic) to."""
        if now < self.due:
            return
        self.due = now + _INTERVAL_S
        seen, before = {}, self._seen
        names = {worker.process.pid or 0: worker.name for worker in self._workers()}
        for pid in names:
            state = self._look(pid)
            if state is not None:
                seen[pid] = before[pid] if pid in before and before[pid][0] == state else (state, now)
        self._seen = seen
        for pid, name in names.items():
            cause = _cause(pid, *seen[pid], now) if pid in seen else ""
            if cause and pid not in self._stalls:
                self._stalls[pid] = Stall(name, cause, self._iso_now())
                self._log.error(f"{name} {cause}")
            elif not cause and pid in self._stalls:
                del self._stalls[pid]
                self._log.warning(f"{name} works again")
        for pid in self._stalls.keys() - names.keys():  # it was replaced, which has been logged
            del self._stalls[pid]


def _cause(pid: int, state: ProcessState, since: float, now: float) -> str:
    """Return why a process has stalled that has not changed `since` then (s, monotonic); "" if it has not."""
    if state.state == STOPPED and now > since:
        return f"was stopped by a signal: kill -CONT {pid} lets it go on"
    if state.state == TRACED and now > since:
        return "was stopped by a debugger"
    if state.state == IN_KERNEL and now - since >= _MAX_IN_KERNEL_S:
        return f"has waited {_MAX_IN_KERNEL_S:.0f} s for a disk or a file server that does not answer"
    return ""
