"""The metrics over HTTP: where they are served, and the life of the process that serves them."""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import Callable

import msgspec

from dfud.errors import UsageError, WorkerError
from dfud.logs.upload_status import UploadStatus
from dfud.messages import FromMetricsServer, RunDescribed, ToMetricsServer
from dfud.metrics.http_server import MAX_CONNECTIONS, PATH
from dfud.metrics.server_process import run
from dfud.processes import links
from dfud.processes.workers import Worker, WorkerPool

_INTERVAL_S = 5.0  # between two descriptions of the run
_COST_FACTOR = 25  # times what one takes, if that is longer: 4 % of a core
_RESTART_INTERVAL_S = 60.0  # between two starts of the process


class MetricsEndpoint:
    """Responsible for a process that serves the metrics of a run, which goes on without it."""

    def __init__(self, host: str, port: int, clock: Callable[[], float] = time.monotonic) -> None:
        """Listen at an IP address; UsageError if that is not possible. With `port` 0 the kernel chooses one."""
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            self._listener = socket.create_server((host, port), family=family, backlog=MAX_CONNECTIONS)
        except OSError as error:
            reason = os.strerror(error.errno or 0)
            raise UsageError(
                f"cannot listen at --metrics_port {_address(host, port)}: {reason}; give a free port, "
                "and an address of this machine"
            ) from None
        self.url = f"http://{_address(host, self._listener.getsockname()[1])}{PATH}"
        self.due = clock()
        self._clock = clock
        self.log = logging.Logger("dfud", logging.CRITICAL + 1)  # until the log file is open
        self._pool: WorkerPool | None = None
        self._worker: Worker[ToMetricsServer, FromMetricsServer] | None = None
        self._start_at = clock()  # s, monotonic; not before
        self._is_failing = False

    def use(self, pool: WorkerPool) -> None:
        """Start the process from `pool`, at the next turn, if it does not run yet."""
        if self._pool is None:
            self._pool = pool
            pool.close_in_children(self._listener)

    def turn(self, now: float, describe: Callable[[], UploadStatus]) -> None:
        """Tell the process what is so now, if it is due, and start it if it does not run."""
        if now < self.due:
            return
        worker = self._living(now)
        if worker is not None:
            worker.channel.flush()
            if not worker.channel.backlog:  # a process that was stopped reads nothing
                worker.channel.post([RunDescribed(msgspec.json.encode(describe()))])
        self.due = now + max(_INTERVAL_S, _COST_FACTOR * (self._clock() - now))

    def end(self, status: UploadStatus) -> None:
        """Do nothing: the process has ended with the other workers."""

    def _living(self, now: float) -> Worker[ToMetricsServer, FromMetricsServer] | None:
        """Return the process, started anew if it has died; None if that has to wait."""
        if self._pool is None:
            return None
        if self._worker is not None:
            if self._worker.process.exitcode is None:
                self._is_failing = self._is_failing and now < self._start_at
                return self._worker
            self._report(f"{self._worker.name} {self._worker.cause_of_death()}")
            self._pool.discard(self._worker)
            self._worker = None
        if now < self._start_at:
            return None
        self._start_at = now + _RESTART_INTERVAL_S
        try:
            self._worker = self._pool.start(
                "metrics", links.METRICS_SERVER, run, (self._listener,), keep_open=[self._listener]
            )
        except WorkerError as error:
            self._report(str(error))
        else:
            self.log.info(f"metrics are at {self.url}")
        return self._worker

    def _report(self, trouble: str) -> None:
        """Log the first of several troubles in a row."""
        if not self._is_failing:
            self.log.warning(
                f"{trouble}: there are no metrics for up to {_RESTART_INTERVAL_S:.0f} s; uploading continues"
            )
        self._is_failing = True


def _address(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
