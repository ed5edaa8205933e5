"""``dfud status --check``: what is fine, what is worth a warning, and what is critical."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from typing import Any

import msgspec
import pytest

from dfud.logs.session import RunState
from dfud.logs.status import RunReport
from dfud.logs.status_check import Finding, Level, Limits, check, line, performance_data
from dfud.logs.upload_status import (
    Backlog,
    BrokerStatus,
    Cause,
    Failures,
    OldestFile,
    Recording,
    Stall,
    TopicFinding,
    UploadStatus,
    WatchStatus,
)
from tests.helpers.statuses import upload_status

NOW = datetime(2026, 3, 1, 10, tzinfo=timezone.utc)
LIMITS = Limits(600.0, 3600.0, 1_000_000_000, 100_000_000, False, None)
PLENTY = 10**12
RUNNING, ENDED, UNFINISHED = RunState.RUNNING, RunState.ENDED, RunState.UNFINISHED


def ago(seconds: float) -> str:
    return (NOW - timedelta(seconds=seconds)).isoformat()


def status(**changes: Any) -> UploadStatus:
    whole = upload_status(started=ago(7_200), written=ago(10), broker=BrokerStatus("reachable"))
    return msgspec.structs.replace(whole, **changes)


def ended(exit_status: int, **changes: Any) -> UploadStatus:
    return status(state="ended", exit_status=exit_status, **changes)


@pytest.mark.parametrize(
    ("run", "told", "level", "text"),
    [
        pytest.param(RUNNING, status(), 0, "running, idle, 0 files completed", id="idle"),
        pytest.param(
            RUNNING, status(backlog=Backlog(2, 2, 1_500_000)), 0, "2 files waiting (1.5 MB)", id="at work"
        ),
        pytest.param(RUNNING, status(written=ago(90)), 0, "running", id="just fresh"),
        pytest.param(RUNNING, status(written=ago(91)), 2, "its status was written 91 s ago", id="hangs"),
        pytest.param(
            RUNNING, status(written=ago(600), state="starting"), 1, "written 10 min ago", id="slow start"
        ),
        pytest.param(RUNNING, status(written=ago(-3_600)), 1, "the clock was set back by 60 min", id="clock"),
        pytest.param(RUNNING, ended(0), 0, "begins or ends", id="ends now"),
        pytest.param(RUNNING, ended(0, written=ago(900)), 3, "written 15 min ago", id="another version runs"),
        pytest.param(RUNNING, None, 3, "there is none", id="no file"),
        pytest.param(UNFINISHED, status(written=ago(40)), 2, "not running: killed, or", id="killed"),
        pytest.param(ENDED, status(), 2, "not running: killed, or", id="killed, and its lock removed"),
        pytest.param(ENDED, ended(0), 2, "ended 10 s ago with status 0", id="ended"),
        pytest.param(ENDED, None, 2, "no upload is running", id="never"),
        pytest.param(ENDED, ended(0, once=True), 0, "ended in order", id="once"),
        pytest.param(ENDED, ended(1, once=True), 2, "the last run ended with status 1", id="once failed"),
        pytest.param(
            RUNNING,
            status(broker=BrokerStatus("unreachable", "Connection refused", ago(45))),
            2,
            "broker unreachable for 45 s (Connection refused)",
            id="broker away",
        ),
        pytest.param(RUNNING, status(broker=BrokerStatus("slow", "it throttles")), 1, "broker slow", id="slow"),
        pytest.param(RUNNING, status(oldest=OldestFile("a", ago(600), 590)), 0, "running", id="waits"),
        pytest.param(RUNNING, status(oldest=OldestFile("a", ago(601), 591)), 1, "a has waited for 10", id="long"),
        pytest.param(
            RUNNING, status(oldest=OldestFile("a", ago(9e3), 9e3)), 2, "a has waited for 3 h", id="longer"
        ),
        pytest.param(
            RUNNING,
            status(failures=Failures(failed=2, causes=(Cause("too large", True, 2, "a"),))),
            2,
            "2 files could not be delivered (a: too large)",
            id="failed",
        ),
        pytest.param(
            RUNNING,
            status(failures=Failures(retrying=1, causes=(Cause("Permission denied", False, 1, "a"),))),
            1,
            "1 file cannot be read (a: Permission denied)",
            id="no right",
        ),
        pytest.param(RUNNING, status(failures=Failures(held=3)), 0, "running", id="being written"),
        pytest.param(RUNNING, status(failures=Failures(left=1)), 1, "1 file left for", id="left"),
        pytest.param(RUNNING, status(watch=WatchStatus(unread_folders=1)), 1, "1 folder cannot", id="folder"),
        pytest.param(RUNNING, status(recording=Recording("LOGS is full")), 2, "LOGS is full", id="tables"),
        pytest.param(
            RUNNING,
            status(stalls=(Stall("watcher", "was stopped", ago(9)),)),
            2,
            "watcher was stopped",
            id="stall",
        ),
        pytest.param(RUNNING, status(topic_findings=(TopicFinding(True, "no right"),)), 2, "no right", id="right"),
        pytest.param(
            RUNNING, status(topic_findings=(TopicFinding(False, "the clock"),)), 1, "the clock", id="clock off"
        ),
        pytest.param(RUNNING, status(topic_harm="topic T was deleted"), 2, "topic T was deleted", id="topic"),
    ],
)
def test_what_is_found(run: RunState, told: UploadStatus | None, level: int, text: str) -> None:
    found, shown = line(check(RunReport(run, told), LIMITS, PLENTY, NOW))
    assert found == level
    assert shown.startswith(f"DFUD {found.name} - ")
    assert text in shown


def test_limits_are_those_that_were_asked_for() -> None:
    free = 500_000_000
    assert [finding.level for finding in check(RunReport(RUNNING, status()), LIMITS, free, NOW)] == [Level.WARNING]
    assert [finding.level for finding in check(RunReport(RUNNING, status()), LIMITS, 1, NOW)] == [Level.CRITICAL]
    relaxed = LIMITS._replace(may_be_ended=True, every_s=3_600.0)
    assert check(RunReport(ENDED, ended(0)), relaxed, PLENTY, NOW)[0].level is Level.OK
    assert check(RunReport(ENDED, ended(1)), relaxed, PLENTY, NOW)[0].level is Level.CRITICAL
    late = ended(0, once=True, written=ago(7_200))
    assert check(RunReport(ENDED, late), relaxed, PLENTY, NOW) == [
        Finding(Level.CRITICAL, "the last run was 2 h ago")
    ]


def test_the_worst_comes_first_and_nothing_breaks_the_line() -> None:
    findings = [Finding(Level.UNKNOWN, "u"), Finding(Level.WARNING, "w|\n"), Finding(Level.CRITICAL, "c\x1b[2J")]
    assert line(findings, "files=1") == (2, "DFUD CRITICAL - c\\x1b[2J; w/\\n; u | files=1")


def test_performance_data_is_as_the_guidelines_say() -> None:
    told = status(oldest=OldestFile("a", ago(30), 20.4), failures=Failures(failed=1))
    text = performance_data(told, LIMITS, PLENTY, "two words_")
    item = re.compile(r"('[^'=]+'|[^' =]+)=-?[\d.]+(s|B|c|%)?(;[\d.]*:?){0,2}(;[\d.]*){0,2}")
    items = re.findall(r"(?:'[^']*'|[^ ])+", text)
    assert all(map(item.fullmatch, items)), items
    assert "'two words_oldest'=20s;600;3600;0" in items
    assert "'two words_failed'=1;;0;0" in items
    assert performance_data(None, LIMITS, 5) == "free=5B;1000000000:;100000000:;0"
