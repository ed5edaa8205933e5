"""What is kept of a topic of heartbeats: the last one of each program, whatever else anybody writes there."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dfud.announcing.heartbeat_format import MAX_BYTES
from dfud.fleet.programs import Programs
from tests.helpers.heartbeats import NOW_S, Said, changed, heartbeat

THEIRS = b'{"timestamp": "2026-03-01T10:00:00+00:00", "n_messages_read": 4, "n_messages_produced": 5}'


def kept(*messages: Said, max_programs: int = 10) -> Programs:
    programs = Programs(max_programs)
    programs.add(messages)
    return programs


def test_the_last_heartbeat_of_each_program_counts() -> None:
    programs = kept(
        heartbeat("a", NOW_S, pid=1),
        heartbeat("b", NOW_S + 5, pid=2),
        heartbeat("a", NOW_S - 60, pid=3),  # the clock was set back: in one partition the order counts
        heartbeat("b", NOW_S, 1, pid=4),  # partitions were added: an older one of another
    )
    found = {each.id: (each.details.pid, each.at_s, each.before_s) for each in programs.all() if each.details}
    assert found == {"a": (3, NOW_S - 60, NOW_S), "b": (2, NOW_S + 5, None)}
    programs.forget_before(NOW_S)
    assert [each.id for each in programs.all()] == ["b"]


def test_the_programs_of_openmsistream_say_what_they_say() -> None:
    programs = kept(Said(b"theirs_heartbeat", THEIRS), Said(b"theirs_log", b'{"messages": []}'))
    (program,) = programs.all()
    assert (program.id, program.details, program.counts.n_messages_produced) == ("theirs", None, 5)
    assert programs.n_malformed == 0


@pytest.mark.parametrize(
    "message",
    [
        Said(None, THEIRS),
        Said(b"a", THEIRS),
        Said(b"a_heartbeat", None),
        Said(b"a_heartbeat", b"{"),
        Said(b"a_heartbeat", b'{"timestamp": "soon"}'),
        Said(b"a_heartbeat", b'{"timestamp": "2026-03-01T10:00:00+00:00", "n_bytes_produced": -1}'),
        Said(b"a_heartbeat", THEIRS + b" " * MAX_BYTES),
        Said(b"a" * 20_000 + b"_heartbeat", THEIRS),
        Said(b"a_heartbeat", THEIRS, at_s=9e15),
        Said(b"a_heartbeat", THEIRS, at_s=-0.001),
    ],
)
def test_what_is_no_heartbeat_is_counted(message: Said) -> None:
    programs = kept(message, message)
    assert (programs.all(), programs.n_malformed, programs.first_fault != "") == ([], 2, True)


@pytest.mark.parametrize(
    "fields",
    [
        {"format": 2},
        {"interval_s": 0},
        {"interval_s": 1e300},
        {"pid": 1 << 70},
        {"backlog": {"bytes": 1 << 63}},
        {"oldest": {"path": "p", "since": "", "age_s": 1e300}},
        {"oldest": {"path": "p", "since": "", "age_s": -1}},
        {"rates": {"bytes": 1e300}},
        {"receivers": [{"receiver": "R", "left_s": 1e300}]},
        {"host": 5},
        {"host": "x" * 60_000},
    ],
)
def test_a_program_whose_details_cannot_be_believed_is_shown_without_them(fields: dict[str, object]) -> None:
    (program,) = kept(changed(heartbeat("a"), **fields)).all()
    assert (program.id, program.details) == ("a", None)


def test_no_more_programs_are_kept_than_there_may_be() -> None:
    programs = kept(*(heartbeat(f"p{n}", pid=n) for n in range(12)), heartbeat("p3", pid=99))
    assert (len(programs.all()), programs.n_left_out) == (10, 2)
    assert [each.details.pid for each in programs.all() if each.id == "p3" and each.details] == [99]


def test_no_more_is_kept_than_there_is_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    size = len((heartbeat("a").the_key or b"") + (heartbeat("a").the_value or b""))
    monkeypatch.setattr("dfud.fleet.programs._MAX_KEPT_BYTES", 2 * size)
    programs = kept(*(heartbeat("a") for _ in range(9)), heartbeat("b", at_s=NOW_S - 9), heartbeat("c"))
    assert (sorted(each.id for each in programs.all()), programs.n_left_out) == (["a", "b"], 1)
    programs.forget_before(NOW_S)
    programs.add([heartbeat("c")])
    assert sorted(each.id for each in programs.all()) == ["a", "c"]


@given(st.binary(max_size=20), st.binary(max_size=60) | st.text(max_size=20).map(str.encode), st.integers())
def test_no_message_is_an_error_and_no_id_is_more_than_text(key: bytes, value: bytes, time_ms: int) -> None:
    said = Said(key + b"_heartbeat", THEIRS[:-1] + b', "dfud": ' + value + b"}", 1.0)
    programs = kept(said, Said(key, value, time_ms / 1000), said._replace(the_value=THEIRS))
    (program,) = programs.all()
    assert program.id.isprintable()
