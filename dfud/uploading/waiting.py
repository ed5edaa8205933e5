"""An upload while no broker answers: it watches, holds the lock, and leaves everything else in LOGS as it is."""

from __future__ import annotations

import time
from collections.abc import Sequence

from dfud.errors import UsageError
from dfud.kafka.topic import UploadTopic
from dfud.logs.layout import LogsFolder
from dfud.logs.lock import DirectoryLock
from dfud.logs.logfile import console_log
from dfud.logs.untouched import UntouchedLogs
from dfud.processes.broker_wait import BrokerWait, Patience
from dfud.processes.child import ChildCall
from dfud.processes.event_loop import RunContext
from dfud.processes.workers import WorkerPool
from dfud.uploading.beginning import EarlyRun, begin
from dfud.uploading.early_watch import EarlyWatch
from dfud.uploading.lanes import start_watcher
from dfud.uploading.options import UploadOptions, log_fields
from dfud.uploading.outlets import EarlyOutlet, Outlets
from dfud.uploading.status_writer import StatusWriter


class AbsentBroker:
    """Responsible for the time in which an upload waits for an answer to `call`."""

    def __init__(
        self, call: ChildCall[UploadTopic], reason: str, untouched: UntouchedLogs, message_timeout_s: float
    ) -> None:
        """Wait for the given `reason`; `untouched` is LOGS as it was before."""
        self._call = call
        self._reason = reason
        self._untouched = untouched
        self._message_timeout_s = message_timeout_s

    def wait(
        self,
        options: UploadOptions,
        folder: LogsFolder,
        lock: DirectoryLock,
        user: RunContext,
        status: StatusWriter,
        others: Sequence[EarlyOutlet] = (),
    ) -> EarlyRun:
        """Return the run that has begun meanwhile, once the call has its answer; `status` and `others` are told.

        Raises StoppedError if the user ends it, DfudError if --once has waited long enough, and UsageError if the
        topic is refused: then LOGS is again as it was.
        """
        # The log file is not opened before the topic is accepted.
        log = console_log(user.output, options.log, log_fields(options.topic))
        patience = Patience(self._message_timeout_s, "message.timeout.ms") if options.once else Patience()
        if options.time_limit is not None and options.time_limit < patience.seconds:
            patience = Patience(options.time_limit, "--time_limit")
        pool = WorkerPool(lock)
        early: EarlyWatch | None = None
        for outlet in others:
            outlet.log = log
            outlet.use(pool)

        def tell(line: str) -> float | None:
            outlets = Outlets(
                [status, *others], lambda: status.waiting(line, early is not None and early.is_watching)
            )
            outlets.turn(time.monotonic())
            return outlets.due

        wait = BrokerWait(self._call, user, patience, log.warning, on_turn=tell)
        try:
            beginning = begin(options, folder, lock, log)
            if options.once:  # its one scan finds all that is there by then
                wait.run(self._reason)
                return EarlyRun(beginning, pool, None, [])
            session = beginning.session
            early = EarlyWatch(
                wait.loop,
                session,
                lambda: start_watcher(pool, beginning.watch._replace(moved_in=session.moved_in)),
            )
            wait.run(self._reason)
            return EarlyRun(beginning, pool, early.hand_over(), early.messages)
        except UsageError:
            pool.kill_all()
            self._untouched.restore(lock)
            raise
        except BaseException:
            pool.kill_all()
            raise
