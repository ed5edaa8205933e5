"""A fleet as a table, a page, metrics, JSON and a line: trouble first, and nothing of strangers as it is."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families
from rich.cells import cell_len

from dfud.core.receipt import Receipt
from dfud.display.lines import width_of
from dfud.display.terminal import Look
from dfud.fleet.as_json import as_json
from dfud.fleet.columns import UPLOAD_COLUMNS
from dfud.fleet.page import page
from dfud.fleet.programs import Programs
from dfud.fleet.prometheus import RECEIVER_RULES, UPLOAD_RULES, render
from dfud.fleet.receivers import Lag, Receivers
from dfud.fleet.snapshot import Snapshot, take_snapshot
from dfud.fleet.table import cut, paint
from dfud.logs.status_check import Level, Limits
from dfud.logs.upload_status import (
    Backlog,
    BrokerStatus,
    Cause,
    Failures,
    OldestFile,
    ReceiverStatus,
    Recording,
)
from tests.helpers.heartbeats import NOW_S, Said, heartbeat
from tests.helpers.parsed_pages import ParsedPage
from tests.helpers.statuses import AT

DOCUMENT = Path(__file__).resolve().parents[3] / "docs" / "fleet.md"
LIMITS = Limits(600.0, 3600.0, 10**9, 10**8, True, None)
LOOK = Look(has_colour=False, has_unicode=True)
HARM = (
    "<script>",
    '" onload="',
    "'",
    "&lt;",
    "\x1b[2J",
    "\u202e",
    "\u2066",
    "\n",
    "\t",
    "\x9b",
    "日本",
    "a" * 300,
)
names = st.lists(st.sampled_from(HARM) | st.text(max_size=4), min_size=1, max_size=6).map("".join).filter(bool)
names = names.filter(lambda name: not re.search("[\ud800-\udfff]", name))


def receipt(receiver: str, topic: str = "T") -> Said:
    time = datetime.fromtimestamp(NOW_S - 60, timezone.utc).isoformat(timespec="microseconds")
    return Said(*Receipt(topic, "", receiver, b"p", 1, 2, "0" * 32, time).message())


def snapshot(messages: Sequence[Said], receipts: Sequence[Said] = (), notes: Sequence[str] = ()) -> Snapshot:
    programs, receivers = Programs(), Receivers()
    programs.add(messages)
    receivers.add(receipts)
    lags = {("T", "archive"): Lag(1_234, 0), ("U", "archive"): Lag(5, 2)}
    return take_snapshot(NOW_S, ("H", "R"), 86_400.0, programs.all(), receivers, LIMITS, notes, lags)


def troubled(word: str) -> Snapshot:
    """Return a fleet with a stranger's `word` wherever there can be one."""
    said = heartbeat(
        word,
        host=word,
        directory=word,
        topic=word,
        version=word,
        broker=BrokerStatus("unreachable", word, AT, AT),
        backlog=Backlog(3, 3, 10**9, 7),
        oldest=OldestFile(word, AT, 4_000.0),
        failures=Failures(2, causes=(Cause(word, True, 2, word),)),
        recording=Recording(word),
    )
    return snapshot([said, heartbeat("fine")], [receipt(word)], [word])


FLEET = snapshot(
    [
        heartbeat("b fine", host="fine-b"),
        heartbeat("a fine", host="fine-a", backlog=Backlog(2, 2, 5_000), oldest=OldestFile("p", AT, 3.0)),
        heartbeat("late", NOW_S - 200, host="late"),
        heartbeat("silent", NOW_S - 2_000, host="silent"),
        heartbeat("failed", host="failed", failures=Failures(2)),
        heartbeat("ended", NOW_S - 9_000, host="ended", state="ended", exit_status=0),
        Said(b"theirs_heartbeat", b'{"timestamp": "2026-03-01T10:00:00+00:00"}'),
    ],
    [receipt("archive"), receipt("archive", "U")],
    ["something is odd"],
)


def text_of(fleet: Snapshot, columns: int | None) -> list[str]:
    return ["".join(text for text, _ in line) for line in paint(fleet, columns, LOOK)]


def test_trouble_comes_first_then_what_waits_then_names() -> None:
    assert [each.name.split(":")[0] for each in FLEET.uploads] == [
        "silent", "failed", "late", "fine-a", "fine-b", "theirs", "ended",
    ]  # fmt: skip
    assert FLEET.summary() == (
        "7 uploads: 1 silent, 1 late, 4 alive, 1 ended; 2 critical, 1 warning; 2 files (5.0 kB) waiting, the "
        "oldest for 3 s; 2 files failed; 1 receiver"
    )


def test_the_line_of_a_plugin() -> None:
    level, text = FLEET.check_line()
    assert level is Level.CRITICAL
    assert text == (
        "DFUD CRITICAL - silent:/data: no heartbeat for 33 min, one is due every 60 s: killed, or cut off; "
        "failed:/data: 2 files could not be delivered; archive: 2 messages of topic U were deleted before it had "
        "read them; late:/data: no heartbeat for 3 min, one is due every 60 s"
        " | silent=1;;;0 late=1;;;0 alive=4;;;0 ended=1;;;0 backlog_files=2;;;0 backlog_bytes=5000B;;;0 "
        "oldest=3s;;;0 failed=2;;;0"
    )
    many = snapshot([heartbeat(f"{n}", NOW_S - 2_000) for n in range(9)]).check_line()[1]
    assert many.count("no heartbeat") == 5
    assert "4 more are not as they should be" in many
    fine = snapshot([heartbeat()]).check_line()
    assert fine[0] is Level.OK
    assert fine[1].startswith("DFUD OK - 1 upload: 1 alive; nothing waits; 0 receivers | ")
    assert snapshot([]).check_line()[0] is Level.CRITICAL


def test_a_wide_table_has_everything_and_a_narrow_one_what_matters() -> None:
    wide, narrow = text_of(FLEET, None), text_of(FLEET, 80)
    assert wide[3].split() == [column.title for column in UPLOAD_COLUMNS]
    assert "  no heartbeat for 33 min, one is due every 60 s: killed, or cut off" in wide
    assert [line.split() for line in wide[-3:]] == [
        ["archive", "U", "1", "60", "s", "-", "5", "-", "-", "2"],
        ["2", "messages", "of", "topic", "U", "were", "deleted", "before", "it", "had", "read", "them"],
        ["archive", "T", "1", "60", "s", "-", "1,234", "-", "-", "-"],
    ]
    assert [line.split() for line in narrow if line.startswith("LEVEL")] == [
        ["LEVEL", "STATE", "UPLOAD", "TOPIC", "WAITING", "SIZE", "OLDEST", "FREE", "HEARD"]
    ]


def test_of_many_lines_the_first_are_shown() -> None:
    lines = paint(FLEET, 80, LOOK)
    assert cut(lines, 100) == lines
    assert [text for ((text, _),) in cut(lines, 5)[-1:]] == [f"and {len(lines) - 4} lines more"]


@settings(max_examples=40, deadline=None)
@given(names, st.integers(2, 220))
@example("日本" * 50, 80)
@example("a\x1b[2J\r\n", 12)
def test_no_line_is_too_wide_or_has_more_than_text(word: str, columns: int) -> None:
    lines = paint(troubled(word), columns, LOOK)
    assert max(width_of(line) for line in lines) < columns
    assert all(text.isprintable() for line in lines for text, _ in line)
    assert all(text.isprintable() and cell_len(text) < 5_000 for text in text_of(troubled(word), None))
    assert troubled(word).check_line()[1].isprintable()


def shape(parsed: ParsedPage) -> list[tuple[str, list[str]]]:
    """Return the elements of a page, and the names of their attributes."""
    return [(tag, sorted(attributes)) for tag, attributes in parsed.elements]


PLAIN_SHAPE = shape(ParsedPage(page(troubled("plain"), "here")))


@settings(max_examples=30, deadline=None)
@given(names)
@example("</style><script>alert(1)</script>")
def test_no_name_adds_an_element_or_an_attribute_to_the_page(word: str) -> None:
    result = ParsedPage(page(troubled(word), word))
    assert shape(result) == PLAIN_SHAPE
    assert result.others == ["DOCTYPE html"]
    assert result.text.replace("\n", "").isprintable()


def test_the_page_says_what_is_wrong_what_waits_and_who_receives() -> None:
    said = ParsedPage(page(FLEET, "here", every_s=10.0)).text
    for text in (
        "critical: 7 uploads on H", "on here, from topic H and topic R", "every 10 s", "Waits longest3 s",
        "✕ critical:failed:/data: 2 files", "▲ warning:something is odd", "theirs", "archive",
    ):  # fmt: skip
        assert text in said, text
    assert "✓ ok:1 upload: 1 alive" in ParsedPage(page(snapshot([heartbeat()]), "here")).text
    assert "no heartbeat on topic H within 24 h" in ParsedPage(page(snapshot([]), "here")).text


@settings(max_examples=20, deadline=None)
@given(names)
def test_metrics_can_be_read_whatever_the_names_are(word: str) -> None:
    families = {family.name: family for family in text_string_to_metric_families(render(troubled(word)).decode())}
    assert families["dfud_fleet_backlog_files"].samples[0].value == 3
    assert len({tuple(sample.labels.items()) for sample in families["dfud_fleet_level"].samples}) == 2


def test_metrics_are_those_of_the_document() -> None:
    families = {family.name: family for family in text_string_to_metric_families(render(FLEET).decode())}
    values = {sample.labels["program"]: sample.value for sample in families["dfud_fleet_level"].samples}
    assert values == {"silent": 3, "failed": 3, "late": 2, "a fine": 0, "b fine": 0, "theirs": 0, "ended": 0}
    states = {sample.labels["state"]: sample.value for sample in families["dfud_fleet_uploads"].samples}
    assert states == {"silent": 1, "late": 1, "alive": 4, "ended": 1}
    rows = re.findall(r"^\| (`dfud_fleet_.*?) \|", DOCUMENT.read_text(encoding="utf-8"), re.MULTILINE)
    documented = set(re.findall(r"dfud_fleet_\w+", "".join(rows)))
    assert documented == families.keys()
    assert documented >= {rule.name for rule in (*UPLOAD_RULES, *RECEIVER_RULES)}


def test_what_a_receiver_has_lost_is_critical() -> None:
    assert snapshot([heartbeat()], [receipt("archive")]).level is Level.OK
    lost = snapshot([heartbeat()], [receipt("archive", "U")])
    assert lost.level is Level.CRITICAL
    assert "✕ critical:archive: 2 messages of topic U" in ParsedPage(page(lost, "here")).text


def test_what_guards_say_of_a_receiver_is_added_up() -> None:
    said = [
        heartbeat("a", receivers=(ReceiverStatus("archive", 3, 9, 90.0), ReceiverStatus("other", 9))),
        heartbeat("b", receivers=(ReceiverStatus("archive", 4, 9, 60.0),)),
        heartbeat("silent", NOW_S - 9_000, receivers=(ReceiverStatus("archive", 100),)),
        heartbeat("c", topic="U", receivers=(ReceiverStatus("archive", 0),)),
    ]
    found = snapshot(said, [receipt("archive"), receipt("archive", "U")])
    assert {each.topic: each[6:] for each in found.receivers} == {"T": (7, 60.0), "U": (0, None)}
    assert text_of(found, None)[-1].split() == ["archive", "T", "1", "60", "s", "-", "1,234", "7", "60", "s", "-"]


@pytest.mark.parametrize("fleet", [FLEET, troubled("a\x1b"), snapshot([])])
def test_json_has_all_of_it(fleet: Snapshot) -> None:
    found = json.loads(json.dumps(as_json(fleet)))
    assert [each["program_id"] for each in found["uploads"]] == [each.program.id for each in fleet.uploads]
    assert found["level"] == "critical"
