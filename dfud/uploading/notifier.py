"""What systemd is told of an upload that it runs as a service: that it is ready, how it does, that it lives."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator

from dfud.core.sizes import shown_size
from dfud.core.text import counted, escaped
from dfud.logs.upload_status import UploadStatus
from dfud.processes.service_manager import ServiceManager
from dfud.processes.workers import WorkerPool

_INTERVAL_S = 5.0  # between looks at the run
_START_INTERVAL_S = 0.25  # until it is ready: whoever has started it waits for that
_PINGS = 3  # within the time after which systemd takes a service for dead
_EXTENSION_S = 60.0  # that a run gets to finish, each time that something was acknowledged
_MAX_TEXT = 500  # characters
_NO_WATCHDOG = "WATCHDOG_USEC=0"


class Notifier:
    """Responsible for what systemd knows of a run; a run goes on without it.

    It is ready when it watches, be there a broker or not: a broker that is started last is no reason to start this
    service anew.
    """

    def __init__(
        self, manager: ServiceManager, log: logging.Logger, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Tell `manager`."""
        self._manager = manager
        self.log = log
        self._pause_s = min(_INTERVAL_S, (manager.watchdog_s or _INTERVAL_S) / _PINGS)
        self._next_look = clock()  # s, monotonic
        self._is_ready = self._is_stopping = self._is_watched = False  # as systemd knows
        self._text = ""  # likewise
        self._acked = 0  # chunks, when systemd was last asked for more time
        self._is_failing = False

    def use(self, pool: WorkerPool) -> None:
        """Do nothing: no process is needed."""

    @property
    def due(self) -> float:
        """When the run is looked at even if nothing happens (s, monotonic)."""
        return self._next_look

    def turn(self, now: float, describe: Callable[[], UploadStatus]) -> None:
        """Say what is new, and that the run lives."""
        if now < self._next_look:
            return
        status = describe()
        lines = [*self._changes(status), *self._signs_of_life(status)]
        if not lines or self._send(lines):
            self._note(status)
        self._next_look = now + (self._pause_s if self._is_ready else min(_START_INTERVAL_S, self._pause_s))

    def end(self, status: UploadStatus) -> None:
        """Say that the run ends."""
        self._send(list(self._changes(status)))

    def _changes(self, status: UploadStatus) -> Iterator[str]:
        """Yield what systemd does not know yet."""
        if not self._is_ready and _is_ready(status):
            yield "READY=1"
        if not self._is_stopping and _is_stopping(status):
            yield "STOPPING=1"
        if status_text(status) != self._text:
            yield f"STATUS={status_text(status)}"

    def _signs_of_life(self, status: UploadStatus) -> Iterator[str]:
        if _is_stopping(status) and (not self._is_stopping or status.acknowledged.chunks > self._acked):
            yield f"EXTEND_TIMEOUT_USEC={_usec(_EXTENSION_S)}"
        if self._manager.watchdog_s is None or not _is_ready(status):
            return
        if status.state == "starting":  # when a broker answers, tables are read first, however long that takes
            if not self._is_ready:
                yield _NO_WATCHDOG
        elif not self._is_watched:
            yield f"WATCHDOG_USEC={_usec(self._manager.watchdog_s)}"
        elif not _is_stuck(status):
            yield "WATCHDOG=1"

    def _note(self, status: UploadStatus) -> None:
        """Remember that systemd knows `status`."""
        self._is_ready = self._is_ready or _is_ready(status)
        self._is_stopping = _is_stopping(status)
        self._is_watched = self._is_ready and status.state != "starting"
        self._text, self._acked = status_text(status), status.acknowledged.chunks

    def _send(self, lines: list[str]) -> bool:
        """Return whether it could be sent."""
        try:
            self._manager.send(*lines)
        except OSError as error:
            if not self._is_failing:
                self._is_failing = True
                reason = error.strerror or error
                self.log.warning(f"cannot notify systemd at {escaped(self._manager.address)}: {reason}; retrying")
            return False
        if self._is_failing:
            self._is_failing = False
            self.log.warning("systemd can be notified again")
        return True


def status_text(status: UploadStatus) -> str:
    """Return one line that says how the run is doing."""
    return "; ".join(_clauses(status))[:_MAX_TEXT]


def _clauses(status: UploadStatus) -> Iterator[str]:
    broker, backlog = status.broker, status.backlog
    if status.state == "starting":
        yield "watching" if status.watch.is_watching else "starting"
        if broker.cause:
            yield f"waiting for a broker: {escaped(broker.cause)}"
        return
    yield from (f"{escaped(stall.worker)} {escaped(stall.cause)}" for stall in status.stalls)
    if status.canary is not None and status.canary.cause:
        yield f"the canary has not come round: {escaped(status.canary.cause)}"
    yield from (escaped(finding.text) for finding in status.topic_findings)
    yield from (
        escaped(text) for text in (status.topic_harm, status.retention_risk, status.recording.cause) if text
    )
    if status.state != "running":
        yield status.state
    yield f"{counted(status.completed.files, 'file')} ({shown_size(status.completed.bytes)}) completed"
    if backlog.files:
        yield f"{counted(backlog.files, 'file')} ({shown_size(backlog.bytes)}) to be sent"
    if status.failures.failed:
        yield f"{counted(status.failures.failed, 'file')} could not be delivered"
    yield f"broker {broker.state}" + (f" ({escaped(broker.cause)})" if broker.cause else "")


def _is_ready(status: UploadStatus) -> bool:
    return status.watch.is_watching or status.once  # which looks at everything once, and watches nothing


def _is_stuck(status: UploadStatus) -> bool:
    """Return whether a new start would help: a broker that is away is waited for as it is."""
    is_blind = status.canary is not None and status.canary.is_stuck and status.broker.state != "unreachable"
    return bool(status.stalls) or is_blind


def _is_stopping(status: UploadStatus) -> bool:
    return status.state in ("finishing", "ended")


def _usec(seconds: float) -> int:
    return round(seconds * 1e6)
