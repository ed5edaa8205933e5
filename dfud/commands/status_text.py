"""What ``dfud status`` shows of a topic, as text and as JSON."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import datetime

import msgspec

from dfud.core.elapsed import duration, seconds_since
from dfud.core.sizes import shown_size
from dfud.core.text import counted
from dfud.logs.session import RunState
from dfud.logs.status import RunReport, TopicStatus
from dfud.logs.status_check import FRESH_S
from dfud.logs.upload_status import UploadStatus

_RUNS = {
    RunState.RUNNING: "an uploader is running",
    RunState.ENDED: "no uploader is running",
    RunState.UNFINISHED: "no uploader is running; start it again: the last one may have left something unsent",
}
_MAX_BAD_ROWS = 10
_TABLES_AGE_S = 10.0  # tables and status are written one after the other, each at most 5 s late


def lines(topic: TopicStatus, now: datetime) -> Iterator[str]:
    """Yield the lines about a topic."""
    completed, in_progress, bad = topic.completed, topic.in_progress, topic.bad_rows
    yield f"topic {topic.topic}: {_RUNS[topic.report.run]}"
    last = f", the last at {completed.last}" if completed.last else ""
    yield f"  completed:   {_amount(completed.files, completed.versions, completed.size)}{last}"
    chunks = f", {in_progress.chunks_to_send:,} of {in_progress.chunks:,} chunks to be sent"
    amount = _amount(in_progress.files, in_progress.versions, in_progress.size)
    yield f"  in progress: {amount}{chunks if in_progress.files else ''}"
    yield from _run_lines(topic.report, in_progress.files, now)
    if bad:
        yield f"  bad rows:    {len(bad):,}, which the next upload sets aside"
        for table, row in bad[:_MAX_BAD_ROWS]:
            yield f"    row {row.number} of {os.path.basename(table)}: {row.reason}"
        if len(bad) > _MAX_BAD_ROWS:
            yield f"    and {len(bad) - _MAX_BAD_ROWS:,} more"
    if topic.to_import:
        names = ", ".join(map(os.path.basename, topic.to_import))
        yield f"  OpenMSIStream's tables, which the next upload imports, are not counted: {names}"


def _run_lines(report: RunReport, n_in_progress: int, now: datetime) -> Iterator[str]:
    """Yield what the last run says of itself, as far as that is still of interest."""
    status = report.status
    if report.trouble:
        yield f"  status file: cannot be read: {report.trouble}"
    if status is None:
        return
    if report.run is not RunState.RUNNING:
        if status.state != "ended":
            yield f"  the last run was killed, or ended by an error, after {status.written}"
        elif status.exit_status:
            yield f"  the last run ended at {status.written} with status {status.exit_status}"
    elif status.state != "ended":
        yield from _present_lines(status, n_in_progress, now)
    yield from _failure_lines(status)


def _present_lines(status: UploadStatus, n_in_progress: int, now: datetime) -> Iterator[str]:
    broker, rates = status.broker, status.rates
    yield f"  run:         {status.state}, process {status.pid} on {status.host}, since {status.started}"
    age_s = seconds_since(status.written, now)
    if age_s > FRESH_S:
        yield f"    it has not written its status for {duration(age_s)}: what follows is as old"
    for found in status.topic_findings:
        yield f"  topic:       {found.text}"
    for stall in status.stalls:
        yield f"  stalled:     {stall.worker} {stall.cause}, since {stall.since}"
    canary = status.canary
    if canary is not None:
        last = f"came round at {canary.at} in {canary.round_trip_s:.3f} s" if canary.round_trip_s else "is awaited"
        yield f"  canary:      {canary.cause or last}"
    cause = f" ({broker.cause})" if broker.cause else ""
    since = f" since {broker.since}" if broker.since and broker.state != "reachable" else ""
    yield f"  broker:      {broker.state}{since}{cause}"
    if rates.bytes:
        yield f"  rate:        {shown_size(round(rates.bytes))} per second"
    if status.oldest is not None:
        waited_s = status.oldest.age_s + max(0.0, age_s)
        if n_in_progress or waited_s > _TABLES_AGE_S:  # or else the tables have it as completed
            yield f"  oldest:      {status.oldest.path}, waiting for {duration(waited_s)}"
    if status.backlog.is_full:
        yield "  more files may be ready in DIR: they wait until there is room for them"
    if status.watch.unread_folders:
        yield f"  {counted(status.watch.unread_folders, 'folder')} cannot be read"
    if status.recording.cause:
        yield f"  LOGS:        {status.recording.cause}"


def _failure_lines(status: UploadStatus) -> Iterator[str]:
    failures = status.failures
    if failures.failed or failures.retrying:
        again = f", {failures.retrying:,} cannot be read and are tried again" if failures.retrying else ""
        yield f"  failures:    {counted(failures.failed, 'file')} could not be delivered{again}"
        for cause in failures.causes:
            more = f", and {cause.files - 1:,} more" if cause.files > 1 else ""
            yield f"    {cause.example}{more}: {cause.cause}"
    if status.topic_harm:
        yield f"  {status.topic_harm}"
    if status.retention_risk:
        yield f"  {status.retention_risk}"
    for receiver in status.receivers:
        lost = f", {counted(receiver.lost, 'file')} lost" if receiver.lost else ""
        missing = f"{counted(receiver.files, 'file')} ({shown_size(receiver.bytes)})"
        yield f"  {receiver.receiver}: {missing} to receive{lost}"


def _amount(files: int, versions: int, size: int) -> str:
    in_versions = f" in {counted(versions, 'version')}" if versions != files else ""
    return f"{counted(files, 'file')}{in_versions}, {shown_size(size)}"


def as_json(topic: TopicStatus) -> dict[str, object]:
    """Return what is known of a topic, for machines."""
    status = topic.report.status
    return {
        "topic": topic.topic,
        "run": topic.report.run.value,
        "completed": topic.completed._asdict(),
        "in_progress": topic.in_progress._asdict(),
        "bad_rows": [{"table": table, "row": row.number, "why": row.reason} for table, row in topic.bad_rows],
        "to_take_over": topic.to_import,
        "status": None if status is None else msgspec.to_builtins(status),
    }
