"""Whether an upload is as it should be, as monitoring plugins say it: ``dfud status --check``, and the fleet's.

One line, performance data, and an exit status, by the guidelines of the Monitoring Plugins project.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from enum import IntEnum
from typing import NamedTuple

from dfud.core.elapsed import duration, seconds_since
from dfud.core.sizes import shown_size
from dfud.core.text import counted, escaped
from dfud.logs.session import RunState
from dfud.logs.status import RunReport
from dfud.logs.upload_status import BrokerStatus, Failures, UploadStatus

FRESH_S = 90.0  # a status that was written longer ago says nothing of the present


class Level(IntEnum):
    """The exit statuses of monitoring plugins."""

    OK = 0
    WARNING = 1
    CRITICAL = 2
    UNKNOWN = 3


_BY_SEVERITY = (Level.OK, Level.UNKNOWN, Level.WARNING, Level.CRITICAL)


class Limits(NamedTuple):
    """What is to be reported."""

    oldest_warning_s: float
    oldest_critical_s: float
    space_warning: int  # bytes that are free for LOGS
    space_critical: int
    may_be_ended: bool  # in order, by somebody who meant it
    every_s: float | None  # within which an upload with --once must have ended again; None for whenever


class Finding(NamedTuple):
    """One thing that is as it should be, or is not."""

    level: Level
    text: str


def check(report: RunReport, limits: Limits, free_bytes: int, now: datetime) -> list[Finding]:
    """Return what is wrong at the time `now`, or else one finding that says how the upload is doing."""
    found = [*space_findings(limits, free_bytes), *_of_run(report, limits, now)]
    status = report.status
    if status is not None and (report.run is RunState.RUNNING or status.state == "ended"):
        found += upload_findings(status, limits, now)
    return found or [Finding(Level.OK, _summary(report))]


def severity(level: Level) -> int:
    """Return how bad a level is, from 0 for OK."""
    return _BY_SEVERITY.index(level)


def ordered(findings: Iterable[Finding]) -> list[Finding]:
    """Return the findings, the worst first."""
    return sorted(findings, key=lambda finding: -severity(finding.level))


def line(findings: Iterable[Finding], performance: str = "") -> tuple[Level, str]:
    """Return the exit status, and the line to be printed: the worst first."""
    worst_first = ordered(findings)
    level = worst_first[0].level
    text = escaped("; ".join(finding.text for finding in worst_first)).replace("|", "/")
    return level, f"DFUD {level.name} - {text}" + (f" | {performance}" if performance else "")


def performance_data(status: UploadStatus | None, limits: Limits, free_bytes: int, prefix: str = "") -> str:
    """Return the numbers for graphs, as label=value[unit];warning;critical;minimum; `prefix` is for each label."""
    data = {"free": f"{free_bytes}B;{limits.space_warning}:;{limits.space_critical}:;0"}
    if status is not None:
        oldest_s = status.oldest.age_s if status.oldest else 0.0
        data |= {
            "files": f"{status.completed.files}c;;;0",
            "versions": f"{status.completed.versions}c;;;0",
            "bytes": f"{status.acknowledged.bytes}c;;;0",
            "chunks": f"{status.acknowledged.chunks}c;;;0",
            "rate": f"{status.rates.bytes:.0f}B;;;0",
            "backlog_files": f"{status.backlog.files};;;0",
            "backlog_bytes": f"{status.backlog.bytes}B;;;0",
            "oldest": f"{oldest_s:.0f}s;{limits.oldest_warning_s:g};{limits.oldest_critical_s:g};0",
            "failed": f"{status.failures.failed};;0;0",
            "retrying": f"{status.failures.retrying};0;;0",
            "restarts": f"{status.restarts.number}c;;;0",
        }
        if status.canary is not None and status.canary.round_trip_s is not None:
            data["canary"] = f"{status.canary.round_trip_s:.3f}s;;;0"
    return " ".join(f"{_label(prefix + name)}={value}" for name, value in data.items())


def _label(name: str) -> str:
    return f"'{name}'" if set(name) & set(" ='") else name


def space_findings(limits: Limits, free_bytes: int, place: str = "LOGS") -> Iterator[Finding]:
    """Find out whether there is room enough for what is written into `place`."""
    for level, limit in ((Level.CRITICAL, limits.space_critical), (Level.WARNING, limits.space_warning)):
        if free_bytes < limit:
            yield Finding(level, f"only {shown_size(free_bytes)} left for {place}")
            return


def _of_run(report: RunReport, limits: Limits, now: datetime) -> Iterator[Finding]:
    """Find out whether there is a run that says how it is doing, if there should be one."""
    status = report.status
    if report.run is RunState.RUNNING:
        if status is None:
            yield Finding(Level.UNKNOWN, f"no status file that can be read: {report.trouble or 'there is none'}")
            return
        age_s = seconds_since(status.written, now)
        if age_s > FRESH_S:
            level = Level.WARNING if status.state == "starting" else Level.CRITICAL
            level = Level.UNKNOWN if status.state == "ended" else level
            yield Finding(level, f"running, but its status was written {duration(age_s)} ago")
        elif age_s < -FRESH_S:
            yield Finding(
                Level.WARNING, f"the clock was set back by {duration(-age_s)} since the status was written"
            )
        return
    if status is None:
        yield Finding(Level.CRITICAL, "no upload is running")
    elif status.state != "ended":
        ago = duration(seconds_since(status.written, now))
        yield Finding(Level.CRITICAL, f"not running: killed, or ended by an error, about {ago} ago")
    elif not (status.once or limits.may_be_ended):
        ago = duration(seconds_since(status.written, now))
        yield Finding(Level.CRITICAL, f"not running: ended {ago} ago with status {status.exit_status}")
    elif status.exit_status:
        yield Finding(Level.CRITICAL, f"the last run ended with status {status.exit_status}")
    if status is not None and status.once and limits.every_s is not None:
        ago_s = seconds_since(status.written, now)
        if ago_s > limits.every_s:
            yield Finding(Level.CRITICAL, f"the last run was {duration(ago_s)} ago")


def upload_findings(status: UploadStatus, limits: Limits, now: datetime) -> Iterator[Finding]:
    """Find out whether the upload itself is as it should be."""
    if status.state != "ended":
        for found in status.topic_findings:
            yield Finding(Level.CRITICAL if found.is_critical else Level.WARNING, found.text)
        for stall in status.stalls:
            yield Finding(Level.CRITICAL, f"{stall.worker} {stall.cause}")
        if status.canary is not None and status.canary.cause:
            yield Finding(Level.CRITICAL, f"the canary has not come round: {status.canary.cause}")
        yield from _of_broker(status.broker, now)
        yield from _of_oldest(status, limits, now)
    for text in filter(None, (status.topic_harm, status.recording.cause)):
        yield Finding(Level.CRITICAL, text)
    if status.retention_risk and status.state != "ended":
        yield Finding(Level.WARNING, status.retention_risk)
    for receiver in status.receivers:
        if receiver.lost:
            lost = counted(receiver.lost, "file")
            yield Finding(
                Level.CRITICAL, f"{lost} deleted from the topic before {receiver.receiver} had received them"
            )
    yield from _of_failures(status.failures)
    if status.watch.unread_folders:
        yield Finding(Level.WARNING, f"{counted(status.watch.unread_folders, 'folder')} cannot be read")


def _of_broker(broker: BrokerStatus, now: datetime) -> Iterator[Finding]:
    if broker.state == "unreachable":
        since = f" for {duration(seconds_since(broker.since, now))}" if broker.since else ""
        yield Finding(Level.CRITICAL, f"broker unreachable{since} ({broker.cause})")
    elif broker.state == "slow":
        yield Finding(Level.WARNING, f"broker slow ({broker.cause})")


def _of_oldest(status: UploadStatus, limits: Limits, now: datetime) -> Iterator[Finding]:
    if status.oldest is None:
        return
    age_s = status.oldest.age_s + max(0.0, seconds_since(status.written, now))
    for level, limit_s in ((Level.CRITICAL, limits.oldest_critical_s), (Level.WARNING, limits.oldest_warning_s)):
        if age_s > limit_s:
            yield Finding(level, f"{status.oldest.path} has waited for {duration(age_s)}")
            return


def _of_failures(failures: Failures) -> Iterator[Finding]:
    if failures.failed:
        why = _first_cause(failures, is_final=True)
        yield Finding(Level.CRITICAL, f"{counted(failures.failed, 'file')} could not be delivered{why}")
    if failures.retrying:
        why = _first_cause(failures, is_final=False)
        yield Finding(Level.WARNING, f"{counted(failures.retrying, 'file')} cannot be read{why}")
    if failures.left:
        yield Finding(Level.WARNING, f"{counted(failures.left, 'file')} left for the next run")


def _first_cause(failures: Failures, is_final: bool) -> str:
    """Return the most frequent cause, with a file that it concerns."""
    causes = (cause for cause in failures.causes if cause.is_final is is_final)
    return next((f" ({cause.example}: {cause.cause})" for cause in causes), "")


def _summary(report: RunReport) -> str:
    status = report.status
    if status is None or status.state == "ended":
        return "begins or ends just now" if report.run is RunState.RUNNING else "ended in order"
    backlog = status.backlog
    waiting = (
        f"{counted(backlog.files, 'file')} waiting ({shown_size(backlog.bytes)})" if backlog.files else "idle"
    )
    return f"{status.state}, {waiting}, {counted(status.completed.files, 'file')} completed"
