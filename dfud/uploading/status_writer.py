"""When the status file is written: often enough to show that the upload lives, seldom enough to cost little."""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import Callable

import msgspec

from dfud import __version__
from dfud.core.text import escaped
from dfud.logs.layout import LogsFolder
from dfud.logs.times import IsoClock
from dfud.logs.upload_status import (
    BrokerStatus,
    OldestFile,
    Rates,
    State,
    UploadStatus,
    WatchStatus,
    encode_status,
)

_CHANGED_INTERVAL_S = 5.0  # between writes while anything changes
_UNCHANGED_INTERVAL_S = 30.0
_COST_FACTOR = 25  # times what a write takes, within these limits: 4 % of a core


class StatusWriter:
    """Responsible for the status file of a run, from its start to its end; a run goes on without it."""

    def __init__(
        self,
        folder: LogsFolder,
        once: bool,
        log: logging.Logger,
        clock: Callable[[], float] = time.monotonic,
        iso_now: Callable[[], str] | None = None,
    ) -> None:
        """Write the status of the upload of `folder` by this process, which begins now."""
        self._folder = folder
        self._once = once
        self.log = log  # until the log file is open, one that says nothing
        self._clock = clock
        self._iso_now = iso_now or IsoClock()
        self._started = self._iso_now()
        self._next_look = clock()  # s, monotonic
        self._written: UploadStatus | None = None  # last
        self._written_at = self._next_look
        self._is_stopped = False
        self.trouble = ""  # why the file cannot be written; empty if it can

    def header(self, state: State, exit_status: int | None = None) -> UploadStatus:
        """Return a status that says no more than which run it is of, and its `state`."""
        return UploadStatus(
            version=__version__,
            topic=self._folder.topic,
            directory=escaped(self._folder.directory),
            host=escaped(socket.gethostname()),
            pid=os.getpid(),
            state=state,
            once=self._once,
            exit_status=exit_status,
            started=self._started,
            written=self._iso_now(),
        )

    @property
    def due(self) -> float:
        """When the file is to be written even if nothing happens (s, monotonic)."""
        return max(self._next_look, self._written_at + _UNCHANGED_INTERVAL_S)

    def write_starting(self) -> None:
        """Write that the run begins."""
        self._write(self.header("starting"))

    def waiting(self, cause: str, is_watching: bool) -> UploadStatus:
        """Return the status of a run that reaches no broker for this `cause`."""
        broker = BrokerStatus("unreachable", escaped(cause), self._started)
        watch = WatchStatus(is_watching)
        return msgspec.structs.replace(self.header("starting"), broker=broker, watch=watch)

    def turn(self, now: float, describe: Callable[[], UploadStatus]) -> None:
        """Write what `describe` returns if it is new, or was written too long ago.

        To be called whenever anything has happened: then no timer is needed for what changes.
        """
        if now < self._next_look:
            return
        status = describe()
        if now >= self.due or self._written is None or _what_counts(status) != _what_counts(self._written):
            self._write(status)
        cost_s = self._clock() - now
        self._next_look = now + min(max(_CHANGED_INTERVAL_S, _COST_FACTOR * cost_s), _UNCHANGED_INTERVAL_S)

    def end(self, status: UploadStatus) -> None:
        """Write the last status of a run that has ended in order."""
        self._write(status)

    def stop(self) -> None:
        """Never write the file again, as it is another process's now."""
        self._is_stopped = True

    def _write(self, status: UploadStatus) -> None:
        if self._is_stopped:
            return
        self._written, self._written_at = status, self._clock()
        path = self._folder.status
        try:
            # After a power cut it would say nothing that is still so: it need not be synced.
            self._folder.replace(path, [encode_status(status)], durable=False)
        except OSError as error:
            if not self.trouble:
                self.trouble = f"cannot write {path}: {error.strerror or error}"
                self.log.warning(f"{self.trouble}; retrying; uploading continues")
        else:
            if self.trouble:
                self.trouble = ""
                self.log.warning(f"writing {path} works again")


def _what_counts(status: UploadStatus) -> UploadStatus:
    """Return `status` without what changes by itself as time goes on."""
    oldest = status.oldest
    if oldest is not None:
        oldest = OldestFile(oldest.path, oldest.since, 0.0)
    recording = msgspec.structs.replace(status.recording, free_bytes=None)
    return msgspec.structs.replace(status, written="", rates=Rates(), oldest=oldest, recording=recording)
