"""What an upload says and does about files that retention takes before they are received."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable

from dfud.core.elapsed import duration
from dfud.core.text import counted, printable
from dfud.core.version import FileStamp, FileVersion
from dfud.errors import WorkerError
from dfud.files.links import LinkPolicy
from dfud.logs.log_lines import about
from dfud.logs.upload_status import ReceiverStatus
from dfud.messages import FilesToResend, FromGuard, LookFailed, Notice, RetentionReport, ToGuard
from dfud.processes import links
from dfud.processes.dispatch import Dispatcher
from dfud.processes.event_loop import EventLoop
from dfud.processes.notices import log_notice
from dfud.processes.workers import Worker, WorkerPool
from dfud.uploading import guard_worker
from dfud.uploading.ledger import Ledger
from dfud.uploading.options import GuardPlan

GuardProcess = Worker[ToGuard, FromGuard]
_RESTART_S = 10.0  # after the guard has died
_MAX_NAMED, _MAX_NAME_CHARS = 3, 60  # receivers in a line
_MAX_BUSY = 1_000  # files in the ledger, above which none are sent again yet


class RetentionGuard:
    """Responsible for one guard process, for what is said of its reports, and for sending files again.

    None of it can harm the upload: what does not work is said, once.
    """

    def __init__(
        self,
        plan: GuardPlan,
        ledger: Ledger,
        pool: WorkerPool,
        link_policy: LinkPolicy,
        log: logging.Logger,
        loop: EventLoop,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Start guards from `pool`, and listen to them in `loop`; add what is to be sent again to `ledger`."""
        self._plan = plan
        self._ledger = ledger
        self._pool = pool
        self._links = link_policy
        self._log = log
        self._loop = loop
        self._clock = clock
        self._topic = plan.folder.topic
        self._worker: GuardProcess | None = None
        self._start_at: float | None = clock()  # s, monotonic; None while there is one, and at the end
        self._to_resend: deque[tuple[FileVersion, FileStamp]] = deque()
        self._is_due = False  # something is about to be taken, and that was said
        self._trouble = ""  # why it cannot look
        self._is_ending = False
        self.receivers: tuple[ReceiverStatus, ...] = ()  # as they were at the last look
        self.risk = ""  # what is about to be taken
        self._dispatch: Dispatcher[FromGuard] = Dispatcher(
            FromGuard,
            {
                Notice: lambda notice: log_notice(log, notice),
                RetentionReport: self._on_report,
                FilesToResend: self._on_files,
                LookFailed: self._on_failed,
            },
        )

    @property
    def due(self) -> float | None:
        """When to have a turn (s, monotonic) even if nothing happens."""
        return self._start_at

    def turn(self, now: float) -> None:
        """Start a guard if it is time to, and add files to the ledger as long as there is room."""
        if self._start_at is not None and now >= self._start_at:
            self._start()
        while self._to_resend and self._ledger.busy_files < _MAX_BUSY:
            self._ledger.send_again(*self._to_resend.popleft())

    def end(self) -> None:
        """Look no more, and send nothing again any more."""
        self._is_ending = True
        self._start_at = None
        self._to_resend.clear()
        if self._worker is not None:  # it has nothing to lose
            self._worker.process.kill()

    def _start(self) -> None:
        self._start_at = None
        names_all = self._log.isEnabledFor(logging.DEBUG)
        arguments = self._plan, self._plan.folder.directory, self._links, names_all
        try:
            self._worker = self._pool.start("guard", links.GUARD, guard_worker.run, arguments)
        except WorkerError as error:
            self._start_at = self._clock() + _RESTART_S
            self._on_failed(LookFailed(str(error)))
            return
        self._loop.watch(self._worker, self._dispatch, self._on_death)

    def _on_death(self, worker: GuardProcess) -> None:
        self._loop.unwatch(worker)
        cause = worker.cause_of_death()
        self._pool.discard(worker)
        self._worker = None
        if not self._is_ending:
            self._start_at = self._clock() + _RESTART_S
            self._on_failed(LookFailed(f"the process that looks {cause}"))

    # -- what the guard reports

    def _on_failed(self, message: LookFailed) -> None:
        if message.reason and message.reason != self._trouble:
            text = f"cannot see what receivers lack of topic {self._topic}: {message.reason}; retrying"
            self._log.warning(text, extra=about(cause=message.reason))
        elif self._trouble and not message.reason:
            self._log.info(f"it can be seen again what receivers lack of topic {self._topic}")
        self._trouble = message.reason

    def _on_report(self, report: RetentionReport) -> None:
        self.receivers = tuple(ReceiverStatus(*each) for each in report.receivers)
        topic = f"topic {self._topic}"
        if report.n_lost:
            path = report.first_lost
            files, are = counted(report.n_lost, "file"), "is" if report.n_lost == 1 else "are"
            then = "; what is still in DIR is sent again" if self._plan.resends else ""
            self._log.error(
                f"{files} {are} gone from {topic} before all receivers had them (first: {printable(path)}){then}; "
                f"{_advice(report)}",
                extra=about(path),
            )
        if report.n_gone:
            gone = counted(report.n_gone, "file")
            self._log.error(f"{gone} that should be sent again cannot be: not in DIR any more as they were sent")
        self.risk = ""
        if report.n_due:
            path = report.first_due
            when = f"in {duration(report.left_s)}" if report.left_s > 0 else "at any moment"
            self.risk = (
                f"{counted(report.n_due, 'file')} may be deleted from {topic} before all receivers have them, the "
                f"first {when} ({printable(path)}); {_advice(report)}"
            )
            if not self._is_due:
                self._log.warning(self.risk, extra=about(path))
        elif self._is_due:
            self._log.info(f"nothing is about to be deleted from {topic} before it is received any more")
        self._is_due = bool(report.n_due)

    def _on_files(self, message: FilesToResend) -> None:
        files = message.files
        self._to_resend.extend(files)
        first, n = printable(files[0][0].path), len(files)
        what = f"{first} again" if n == 1 else f"{counted(n, 'file')} again (first: {first})"
        self._log.info(f"sending {what}: not received, and the topic may not keep it for long")


def _advice(report: RetentionReport) -> str:
    """Return what to do."""
    behind = [each.receiver[:_MAX_NAME_CHARS] for each in report.receivers if each.n_files]
    names = ", ".join(behind[:_MAX_NAMED]) if 0 < len(behind) <= _MAX_NAMED else "receivers"
    see = f"see why {names} {'does' if len(behind) == 1 else 'do'} not receive"
    return f"raise {report.settings} of the topic, or {see}" if report.settings else see
