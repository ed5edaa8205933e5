"""How each upload of a fleet is doing: whether it is heard of, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timezone
from enum import Enum
from typing import NamedTuple

from dfud.announcing.heartbeat_format import UploadDetails
from dfud.core.elapsed import duration, parse_time
from dfud.fleet.programs import Program
from dfud.logs.status_check import Finding, Level, Limits, ordered, space_findings, upload_findings

_DEFAULT_INTERVAL_S = 900.0  # of programs that do not say it: OpenMSIStream's
_LATE_INTERVALS, _SILENT_INTERVALS = 2, 4  # since the last heartbeat
_GRACE_S = 10.0  # for a heartbeat to be on its topic
_CLOCK_S = 60.0  # that clocks may differ


class State(Enum):
    """Whether a program is heard of."""

    SILENT = "silent"  # gone without a word
    LATE = "late"
    ALIVE = "alive"
    ENDED = "ended"


class Upload(NamedTuple):
    """One upload, or another program that sends heartbeats."""

    program: Program
    state: State
    age_s: float  # since its last heartbeat
    interval_s: float  # between its heartbeats
    findings: tuple[Finding, ...]  # what is wrong, the worst first; none if nothing is

    @property
    def level(self) -> Level:
        """How bad it is."""
        return self.findings[0].level if self.findings else Level.OK

    @property
    def details(self) -> UploadDetails | None:
        """What dfud says of it."""
        return self.program.details

    @property
    def name(self) -> str:
        """Where it is: host and directory, or else its id."""
        details = self.details
        return self.program.id if details is None else f"{details.host}:{details.directory}"


def judge(program: Program, limits: Limits, now_s: float) -> Upload:
    """Return how a program is doing at `now_s` (since 1970)."""
    age_s = now_s - program.at_s
    interval_s = _interval_s(program)
    state = _state(program, age_s, interval_s)
    findings = list(_heartbeat_findings(program, state, age_s, interval_s))
    if program.details is not None and program.details.once and state is State.ENDED:
        findings += _overdue(age_s, limits)
    if state is not State.SILENT and program.details is not None:
        findings += _findings(program.details, limits)
    return Upload(program, state, age_s, interval_s, tuple(ordered(findings)))


def _interval_s(program: Program) -> float:
    if program.details is not None:
        return program.details.interval_s
    between_s = 0.0 if program.before_s is None else program.at_s - program.before_s
    return max(_DEFAULT_INTERVAL_S, between_s)


def _state(program: Program, age_s: float, interval_s: float) -> State:
    if program.details is not None and program.details.state == "ended":
        return State.ENDED
    if age_s > _SILENT_INTERVALS * interval_s + _GRACE_S:
        return State.SILENT
    return State.LATE if age_s > _LATE_INTERVALS * interval_s + _GRACE_S else State.ALIVE


def _heartbeat_findings(program: Program, state: State, age_s: float, interval_s: float) -> Iterator[Finding]:
    every = f"no heartbeat for {duration(age_s)}, one is due every {duration(interval_s)}"
    if state is State.SILENT:
        # Programs that do not say that they end may have ended in order.
        yield Finding(Level.CRITICAL if program.details else Level.WARNING, f"{every}: killed, or cut off")
    elif state is State.LATE:
        yield Finding(Level.WARNING, every)
    elif state is State.ENDED and program.details and program.details.exit_status:
        yield Finding(Level.CRITICAL, f"ended with status {program.details.exit_status}")
    if age_s < -_CLOCK_S:
        yield Finding(
            Level.WARNING, f"its heartbeat is {duration(-age_s)} ahead of the clock here: set one of the clocks"
        )


def _overdue(age_s: float, limits: Limits) -> Iterator[Finding]:
    if limits.every_s is not None and age_s > limits.every_s:
        yield Finding(Level.CRITICAL, f"the last run was {duration(age_s)} ago")


def _findings(details: UploadDetails, limits: Limits) -> Iterator[Finding]:
    """Find out what was wrong when it said so: files that waited then may not wait any more."""
    written = parse_time(details.written) or datetime.now(timezone.utc)
    yield from upload_findings(details, limits, written)
    if details.state != "ended":
        free, of_logs = details.directory_free_bytes, details.recording.free_bytes
        if free is not None:
            yield from space_findings(limits, free, "DIR")
        if of_logs is not None and (free is None or abs(of_logs - free) > free / 100):  # another file system
            yield from space_findings(limits, of_logs)
