"""The guard process: looks at what retention is about to take, and at which of it can be sent again.

It is forked from the supervisor, and talks to the broker for as long as that takes. The upload has the processor
first.
"""

from __future__ import annotations

import contextlib
import logging
import os
import select
import time
from collections.abc import Callable, Iterable
from typing import Protocol

from dfud.core.text import escaped, printable
from dfud.core.version import FileStamp, FileVersion
from dfud.errors import DfudError
from dfud.files.links import LinkPolicy
from dfud.files.openat import look
from dfud.lagging.lag import ReceiverLag
from dfud.lagging.retention_watch import RetentionWatch, Risks
from dfud.lagging.uploaded import UploadedFile
from dfud.messages import FilesToResend, FromGuard, LookFailed, Notice, ReceiverBehind, RetentionReport, ToGuard
from dfud.processes.channel import Channel, PeerGoneError
from dfud.processes.worker import init_worker
from dfud.uploading.options import GuardPlan

_NICENESS = 10
_COST_FACTOR = 20  # the pause after a look, in proportion to the CPU time that it took
_MAX_RECEIVERS = 64
_MAX_FILES = 500  # in a message


class Watch(Protocol):
    """What finds out what is at risk."""

    def look(self) -> Risks:
        """Look at everything again."""


def run(
    name: str,
    supervisor_pid: int,
    to_supervisor: Channel[FromGuard, ToGuard],
    plan: GuardPlan,
    directory: str,
    links: LinkPolicy,
    names_all: bool,
) -> None:
    """Run the guard process until it is told to stop; it `names_all` files at risk, for a log that has all."""
    init_worker(name, supervisor_pid)
    with contextlib.suppress(OSError):  # a sandbox may not allow it
        os.nice(_NICENESS)
    watch = RetentionWatch(
        plan.folder, plan.receipts, plan.required, plan.within_s, plan.properties, plan.config_path
    )
    guard = Guard(plan, watch, PresentFiles(directory, links), names_all)
    pause_s, is_failing = 0.0, False
    with contextlib.suppress(PeerGoneError):
        while not _is_stopped(to_supervisor, pause_s):
            began, cpu_before = time.monotonic(), time.process_time()
            try:
                messages = guard.look()
                if is_failing:
                    messages.insert(0, LookFailed(""))
                is_failing = False
            except DfudError as error:
                messages, is_failing = [LookFailed(str(error))], True
            to_supervisor.send(messages)
            pause_s = max(began + plan.interval_s - time.monotonic(), 0.0)
            pause_s = max(pause_s, _COST_FACTOR * (time.process_time() - cpu_before))


def _is_stopped(channel: Channel[FromGuard, ToGuard], seconds: float) -> bool:
    poller = select.poll()
    poller.register(channel, select.POLLIN)
    return bool(poller.poll(seconds * 1000)) and bool(channel.receive())


class PresentFiles:
    """Says which files are still in the directory as they were when they were sent."""

    def __init__(self, directory: str, links: LinkPolicy) -> None:
        """Look below `directory`, and follow links as an upload does."""
        self._dir_fd = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        self._links = links

    def stamp(self, version: FileVersion) -> FileStamp | None:
        """Return the stamp of a file that has its size and modification time still; None if it has not."""
        try:
            status = look(self._dir_fd, version.path, self._links)
        except OSError:
            return None
        if (status.st_size, status.st_mtime_ns) != version[1:]:
            return None
        return FileStamp(status.st_ctime_ns, status.st_ino)


class Guard:
    """Responsible for which files are reported, and which are to be sent again."""

    def __init__(
        self,
        plan: GuardPlan,
        watch: Watch,
        present: PresentFiles,
        names_all: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Tell what `watch` finds; `present` says what can be sent again."""
        self._resends = plan.resends
        self._within_s = plan.within_s
        self._watch = watch
        self._present = present
        self._clock = clock
        self._resent: dict[bytes, float] = {}  # when a version was sent again (s, monotonic), by its identity
        self._lost: set[bytes] = set()  # identities of versions that were reported
        self._names_all = names_all
        self._named: set[bytes] = set()  # identities of versions that are due

    def look(self) -> list[FromGuard]:
        """Return what there is to report; DfudError if it cannot be found out."""
        risks = self._watch.look()
        lost = {file.version.identity(): file for file in risks.lost}
        new = [file for identity, file in lost.items() if identity not in self._lost]
        self._lost = set(lost)
        messages: list[FromGuard] = []
        if self._names_all:
            due_now = {file.version.identity(): file.version.path for file in risks.due}
            for identity in due_now.keys() - self._named:
                path = due_now[identity]
                text = f"{printable(path)} may be deleted from the topic before it is received"
                messages.append(Notice(logging.DEBUG, text, path))
            self._named = set(due_now)
        n_gone = 0
        if self._resends:
            due = self._to_resend([*risks.lost, *risks.due], risks.period_s)
            stamps = ((file.version, self._present.stamp(file.version)) for file in due)
            there = [(version, stamp) for version, stamp in stamps if stamp is not None]
            n_gone = len(due) - len(there)
            batches = range(0, len(there), _MAX_FILES)
            messages += [FilesToResend(tuple(there[at : at + _MAX_FILES])) for at in batches]
        report = RetentionReport(
            tuple(map(_behind, risks.lags[:_MAX_RECEIVERS])),
            len(risks.due),
            risks.due[0].version.path if risks.due else b"",
            risks.left_s if risks.due else 0.0,
            len(new),
            new[0].version.path if new else b"",
            risks.settings,
            n_gone,
        )
        return [report, *messages]

    def _to_resend(self, files: Iterable[UploadedFile], period_s: float) -> list[UploadedFile]:
        """Return those that were not sent again lately: since then, they may be due once more."""
        now = self._clock()
        pause_s = max(period_s - self._within_s, period_s / 2)
        wanted, kept = [], {}
        for file in files:
            identity = file.version.identity()
            sent_at = self._resent.get(identity)
            if sent_at is None or now - sent_at >= pause_s:
                wanted.append(file)
                sent_at = now
            kept[identity] = sent_at
        self._resent.update(kept)
        return wanted


def _behind(lag: ReceiverLag) -> ReceiverBehind:
    return ReceiverBehind(escaped(lag.receiver), lag.n_files or 0, lag.n_bytes or 0, lag.left_s, lag.n_lost)
