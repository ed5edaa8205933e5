"""How each upload is doing: whether it is heard of, and what is wrong with it."""

from __future__ import annotations

from typing import Any

import pytest

from dfud.fleet.programs import Program, Programs
from dfud.fleet.verdict import State, judge
from dfud.logs.status_check import Level, Limits
from dfud.logs.upload_status import Backlog, BrokerStatus, Failures, OldestFile, Recording
from tests.helpers.heartbeats import NOW_S, Said, changed, heartbeat
from tests.helpers.statuses import AT

LIMITS = Limits(600.0, 3600.0, 10**9, 10**8, True, None)
THEIRS = b'{"timestamp": "2026-03-01T10:00:00+00:00"}'


def program(*messages: Said) -> Program:
    programs = Programs()
    programs.add(messages)
    (only,) = programs.all()
    return only


@pytest.mark.parametrize(
    ("age_s", "changes", "state", "level", "text"),
    [
        pytest.param(0, {}, State.ALIVE, 0, "", id="just heard"),
        pytest.param(130, {}, State.ALIVE, 0, "", id="one heartbeat may be lost"),
        pytest.param(131, {}, State.LATE, 1, "no heartbeat for 2 min, one is due every 60 s", id="late"),
        pytest.param(251, {}, State.SILENT, 2, "no heartbeat for 4 min", id="silent"),
        pytest.param(-30, {}, State.ALIVE, 0, "", id="clocks differ a little"),
        pytest.param(-3600, {}, State.ALIVE, 1, "60 min ahead of the clock here", id="clocks differ"),
        pytest.param(9e9, {"state": "ended", "exit_status": 0}, State.ENDED, 0, "", id="ended in order"),
        pytest.param(
            9e9, {"state": "ended", "exit_status": 1}, State.ENDED, 2, "ended with status 1", id="ended badly"
        ),
        pytest.param(
            30,
            {"oldest": OldestFile("p", AT, 601.0), "backlog": Backlog(1, 1, 1)},
            State.ALIVE,
            1,
            "p has waited for 10 min",
            id="waits as it was said, no longer",
        ),
        pytest.param(
            0,
            {"broker": BrokerStatus("unreachable", "refused", AT)},
            State.ALIVE,
            2,
            "broker unreachable",
            id="broker",
        ),
        pytest.param(
            600,
            {"broker": BrokerStatus("unreachable", "refused", AT)},
            State.SILENT,
            2,
            "no heartbeat",
            id="long ago",
        ),
        pytest.param(
            0, {"failures": Failures(failed=2)}, State.ALIVE, 2, "2 files could not be delivered", id="failed"
        ),
        pytest.param(
            0,
            {"recording": Recording(free_bytes=10**8)},
            State.ALIVE,
            1,
            "100.0 MB left for LOGS",
            id="LOGS is full",
        ),
    ],
)
def test_the_state_and_the_worst(
    age_s: float, changes: dict[str, Any], state: State, level: int, text: str
) -> None:
    upload = judge(program(heartbeat(**changes)), LIMITS, NOW_S + age_s)
    assert (upload.state, upload.level) == (state, level)
    assert [text in finding.text for finding in upload.findings] == ([True] if text else [])


def test_an_upload_from_cron_that_does_not_run_any_more() -> None:
    limits = LIMITS._replace(every_s=900.0)
    ended = program(heartbeat(state="ended", exit_status=0, once=True))
    assert judge(ended, limits, NOW_S + 900).level is Level.OK
    assert judge(ended, limits, NOW_S + 901).findings == ((Level.CRITICAL, "the last run was 15 min ago"),)
    assert judge(program(heartbeat(state="ended", exit_status=0)), limits, NOW_S + 901).level is Level.OK


def test_one_file_system_that_is_full_is_said_once() -> None:
    said = heartbeat(recording=Recording(free_bytes=10**7))
    once = judge(program(changed(said, directory_free_bytes=10**7 - 4096)), LIMITS, NOW_S)
    assert [finding.text for finding in once.findings] == ["only 10.0 MB left for DIR"]
    twice = judge(program(changed(said, directory_free_bytes=10**6)), LIMITS, NOW_S)
    assert [finding.text for finding in twice.findings] == [
        "only 1.0 MB left for DIR",
        "only 10.0 MB left for LOGS",
    ]


@pytest.mark.parametrize(
    ("between_s", "age_s", "state", "level"),
    [
        (60, 1_800, State.ALIVE, Level.OK),
        (60, 2_000, State.LATE, Level.WARNING),
        (60, 3_700, State.SILENT, Level.WARNING),  # it may have ended in order
        (3_600, 7_000, State.ALIVE, Level.OK),
    ],
)
def test_programs_that_do_not_say_their_interval_have_openmsistreams_or_their_own(
    between_s: float, age_s: float, state: State, level: Level
) -> None:
    theirs = Said(b"theirs_heartbeat", THEIRS, NOW_S - between_s), Said(b"theirs_heartbeat", THEIRS)
    upload = judge(program(*theirs), LIMITS, NOW_S + age_s)
    assert (upload.state, upload.level, upload.name) == (state, level, "theirs")
