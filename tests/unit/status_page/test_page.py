"""The page: what strangers' names can do to it, what it loads, and what it says."""

from __future__ import annotations

import hashlib
import re
from base64 import b64encode
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dfud.core.ranges import RangeSet
from dfud.core.tables import BadRow, CompletedRow, InProgressRow, in_progress_row
from dfud.core.version import FileVersion
from dfud.logs.session import RunState
from dfud.logs.status import CompletedTotals, InProgressTotals, RunReport, TopicStatus
from dfud.logs.table_files import RejectedRow
from dfud.logs.upload_status import BrokerStatus, Cause, Failures, OldestFile
from dfud.status_page.history import MAX_NEWEST, History
from dfud.status_page.page import Making, page
from dfud.status_page.topic import Finding, TopicPage
from tests.helpers.parsed_pages import ParsedPage
from tests.helpers.statuses import upload_status

NOW = datetime(2026, 3, 1, 10, tzinfo=timezone.utc)
AT = "2026-03-01T09:59:00.000+00:00"
# What names are made of to do harm: tags, quotes, entities, escape sequences, marks that turn text around.
HARM = (
    "<script>",
    "</style>",
    "<!--",
    '" onload="',
    "'",
    "&lt;",
    "]]>",
    "\x1b[2J",
    "\u202e",
    "\u2066",
    "\udcff",
    "\n",
)
names = st.lists(st.sampled_from(HARM) | st.text(max_size=4), max_size=6).map("".join).filter(bool)


def topic_page(word: str, completed: Sequence[CompletedRow] = (), **changes: Any) -> TopicPage:
    """Return what is shown of a topic, with a stranger's `word` wherever there can be one."""
    history = History(NOW)
    completed = completed or [CompletedRow(f"{word}/{word}", 1_500_000, 1, 92, 16384, "0" * 32, AT, AT)]
    for row in completed:
        history.add(row)
    status = upload_status(
        written=NOW.isoformat(),
        host=word,
        broker=BrokerStatus("unreachable", word, word),
        oldest=OldestFile(word, word, 61.0),
        failures=Failures(failed=2, causes=(Cause(word, True, 2, word),)),
    )
    totals = CompletedTotals(len(completed), len(completed), sum(row.size for row in completed), word)
    started = InProgressRow(word, 40_000, 1, 16384, 3, 2, 1, "3", word)
    waiting = in_progress_row(FileVersion(b"w", 40_000, 1), 16384, RangeSet(), AT)
    whole = TopicStatus(
        word,
        RunReport(RunState.RUNNING, status),
        InProgressTotals(2, 2, 80_000, 6, 4),
        totals,
        [RejectedRow(f"/LOGS/{word}", BadRow(3, word, word))],
        [f"/LOGS/{word}"],
        [started, waiting],
    )
    return TopicPage(whole._replace(**changes), history, [Finding("critical", word)])


def parsed(*topics: TopicPage, directory: str = "/data", every_s: float | None = None) -> ParsedPage:
    return ParsedPage(page(Making(directory, "here", NOW, every_s), topics))


def shape(parsed: ParsedPage) -> list[tuple[str, list[str]]]:
    """Return the elements of a page, and the names of their attributes."""
    return [(tag, sorted(attributes)) for tag, attributes in parsed.elements if tag != "time"]


PLAIN_SHAPE = shape(parsed(topic_page("plain"), directory="/plain"))


@settings(max_examples=30, deadline=None)
@given(names)
@example("<script>alert(1)</script>")
@example("\u202egnp.exe")
def test_no_name_adds_an_element_or_an_attribute(word: str) -> None:
    result = parsed(topic_page(word), directory=f"/{word}")
    assert shape(result) == PLAIN_SHAPE
    assert result.others == ["DOCTYPE html"]
    assert result.text.replace("\n", "").isprintable()
    values = [value for _, attributes in result.elements for value in attributes.values() if value is not None]
    assert all(value.isprintable() for value in values)


def test_each_name_has_its_own_direction_of_writing() -> None:
    result = page(Making("/data", "here", NOW), [topic_page("שלום")])
    body = result.split("<body>")[1].replace('aria-label="acknowledged of שלום"', "")
    assert re.search("<bdi>[^<]*שלום", body)
    assert "שלום" not in re.sub("<bdi>[^<]*</bdi>", "", body)


def test_nothing_is_loaded_or_run() -> None:
    whole = page(Making("/data", "here", NOW), [topic_page("a")])
    result = ParsedPage(whole)
    assert {tag for tag, _ in result.elements}.isdisjoint({"script", "img", "iframe", "object", "base", "form"})
    assert [link["href"] for link in result.all("link")] == ["data:,"]
    for _, attributes in result.elements:
        assert not {"style", "src"} & set(attributes)
        assert not any(name.startswith("on") for name in attributes)
    (policy,) = [
        meta["content"] for meta in result.all("meta") if meta.get("http-equiv") == "Content-Security-Policy"
    ]
    css = whole.split("<style>")[1].split("</style>")[0]
    digest = b64encode(hashlib.sha256(css.encode()).digest()).decode()
    assert policy is not None
    assert policy.startswith(f"default-src 'none'; style-src 'sha256-{digest}';")
    assert not re.search(r"url\(|@import|https?:", css)


def test_a_page_that_is_made_anew_is_loaded_anew() -> None:
    assert not any(meta.get("http-equiv") == "refresh" for meta in parsed(topic_page("a")).all("meta"))
    result = parsed(topic_page("a"), every_s=4.5)
    assert {"http-equiv": "refresh", "content": "5"} in result.all("meta")
    assert "nobody makes it any more" in result.text


def test_it_says_what_is_done_under_way_and_failed() -> None:
    said = parsed(topic_page("name"), topic_page("other")).text
    for text in (
        "✕ critical:name", "1 file", "1.5 MB, 92 chunks", "80.0 kB, 32.8 kB of it acknowledged", "2 files", "66 %",
        "unreachable", "Rates", "Under way", "Waiting", "Failures", "Bad rows", "Not counted", "unknown",
    ):  # fmt: skip
        assert text in said, text
    assert parsed().text.count("Nothing has been uploaded from here yet.") == 1


def test_each_table_is_named_and_has_headers() -> None:
    result = parsed(topic_page("a"))
    assert len(result.all("caption")) == len(result.all("table"))
    assert all(header.get("scope") in ("col", "row") for header in result.all("th"))
    assert all(figure.get("aria-label") for figure in result.all("svg") if figure.get("role") == "img")
    ids = [attributes["id"] for _, attributes in result.elements if "id" in attributes]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("number", [MAX_NEWEST, 5_000])
def test_of_many_files_the_newest_are_listed(number: int) -> None:
    rows = [
        CompletedRow(f"f{n}", 1, 1, 1, 1, "a" * 32, AT, (NOW - timedelta(seconds=n)).isoformat())
        for n in range(number)
    ]
    result = parsed(topic_page("a", rows))
    assert len(result.all("code")) == MAX_NEWEST
    assert "f0" in result.texts
    assert "f999" in result.texts
    assert "f1000" not in result.texts
    assert ("4,000 older ones are left out here: the table has all" in result.text) == (number > MAX_NEWEST)


def luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_text_stands_out_in_both_schemes() -> None:
    css = Path(page.__code__.co_filename).with_name("page.css").read_text()
    schemes = [dict(re.findall(r"--(\w+): (#\w{6})", part)) for part in css.split("@media")[:2]]
    assert len(schemes) == 2
    for scheme in schemes:
        for ground in ("ground", "raised"):
            for ink in ("ink", "soft", "bar", "ok", "warning", "critical"):
                lower, higher = sorted([luminance(scheme[ground]), luminance(scheme[ink])])
                assert (higher + 0.05) / (lower + 0.05) >= 4.5, (ground, ink)
