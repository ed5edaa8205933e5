"""The fleet as one page of HTML: totals, what is wrong, uploads, receivers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timezone, tzinfo

from dfud.core.elapsed import duration
from dfud.core.sizes import shown_size
from dfud.core.text import counted
from dfud.fleet.columns import RECEIVER_COLUMNS, UPLOAD_COLUMNS, Column, receiver_cells, upload_cells
from dfud.fleet.snapshot import Snapshot
from dfud.fleet.verdict import State
from dfud.logs.status_check import Finding
from dfud.status_page.document import document, made_anew
from dfud.status_page.markup import Html, element, join, name, text, time
from dfud.status_page.table import Cell, table

_LEVEL, _NUMBER, _PATH = "level", "number", "path"
_MAX_FINDINGS = 12  # uploads that are named at the top
_MAX_RECEIVERS = 500  # rows
_MAX_TEXTS = 4  # of what is wrong with one upload
_NAMES = ("UPLOAD", "TOPIC", "RECEIVER")  # columns with what strangers have written
_COLUMNS = (  # what names a row comes first
    UPLOAD_COLUMNS[2],
    *UPLOAD_COLUMNS[:2],
    *UPLOAD_COLUMNS[3:],
    Column("WHAT IS WRONG"),
)
_SIGNS = {"warning": "▲", "unknown": "?", "critical": "✕", "ok": "✓"}


def page(snapshot: Snapshot, host: str, every_s: float | None = None, zone: tzinfo = timezone.utc) -> str:
    """Return the page, made on `host` with times of `zone`; it is made anew every `every_s`, or never."""
    level = snapshot.level.name.lower()
    verdict = "" if level == "ok" else f"{level}: "
    title = f"{verdict}{counted(len(snapshot.uploads), 'upload')} on {snapshot.heartbeats}"
    return document(title, every_s, _header(snapshot, host, every_s, zone), element("main", *_sections(snapshot)))


def _header(snapshot: Snapshot, host: str, every_s: float | None, zone: tzinfo) -> Html:
    made = datetime.fromtimestamp(snapshot.at_s, zone).isoformat()
    topics = f"topic {snapshot.heartbeats}" + (f" and topic {snapshot.receipts}" if snapshot.receipts else "")
    where = text(f" on {host}, from {topics}: heartbeats of {duration(snapshot.since_s)}.{made_anew(every_s)}")
    return element(
        "header",
        element("h1", text("All uploads")),
        element("p", text("Made "), time(made), where, class_="soft"),
    )


def _sections(snapshot: Snapshot) -> Iterator[Html]:
    if snapshot.uploads:
        yield element("dl", *_facts(snapshot))
    yield element("ul", *_findings(snapshot), class_="findings")
    if snapshot.uploads:
        yield element("h2", text("Uploads"))
        yield _table("Each upload as of its last heartbeat, the worst first", _COLUMNS, _rows(snapshot))
    if snapshot.receivers:
        yield element("h2", text("Receivers"))
        shown = snapshot.receivers[:_MAX_RECEIVERS]
        more = len(snapshot.receivers) - len(shown)
        left = f"; {more:,} more are left out here" if more else ""
        caption = f"What the receipts say of each receiver and topic, the most behind first{left}"
        rows = [_cells(RECEIVER_COLUMNS, receiver_cells(each, snapshot.at_s)) for each in shown]
        yield _table(caption, RECEIVER_COLUMNS, rows)


def _findings(snapshot: Snapshot) -> Iterator[Html]:
    bad = snapshot.troubles
    for each in bad[:_MAX_FINDINGS]:
        worst = each.findings[0].level.name.lower()
        yield _finding(worst, join(name(each.name), text(": "), name(_texts(each.findings))))
    if len(bad) > _MAX_FINDINGS:
        worst = bad[_MAX_FINDINGS].findings[0].level.name.lower()
        more = f"{len(bad) - _MAX_FINDINGS:,} more are not as they should be: see below"
        yield _finding(worst, text(more))
    for note in snapshot.notes:
        yield _finding("warning", name(note))
    if not bad:
        yield _finding(snapshot.level.name.lower(), text(snapshot.summary()))


def _finding(level: str, what: Html) -> Html:
    return element("li", element("strong", text(f"{_SIGNS[level]} {level}:")), what, class_=level)


def _facts(snapshot: Snapshot) -> Iterator[Html]:
    states, totals = snapshot.states, snapshot.totals
    of_states = ", ".join(f"{states[state]:,} {state.value}" for state in State if states[state])
    yield _fact("Uploads", f"{len(snapshot.uploads):,}", of_states)
    yield _fact("Waiting", counted(totals.files, "file"), shown_size(totals.bytes))
    yield _fact("Waits longest", "nothing" if totals.oldest_s is None else duration(totals.oldest_s))
    yield _fact("Failed", counted(totals.failed, "file"))
    if snapshot.receipts is not None:
        yield _fact("Receivers", f"{len({each.name for each in snapshot.receivers}):,}")


def _fact(term: str, *values: str) -> Html:
    return element("div", element("dt", text(term)), *(element("dd", text(value)) for value in values))


def _rows(snapshot: Snapshot) -> list[list[Cell]]:
    """Return the cells of the uploads, in the order of `_COLUMNS`."""
    rows = []
    for upload in snapshot.uploads:
        kind = upload.level.name.lower()
        _, state, where, *others = _cells(UPLOAD_COLUMNS, upload_cells(upload))
        shown = element("span", element("strong", text(f"{_SIGNS[kind]} {kind}")), class_=kind)
        rows.append([where, (_LEVEL, shown), state, *others, (_PATH, name(_texts(upload.findings)))])
    return rows


def _texts(findings: Sequence[Finding]) -> str:
    return "; ".join(finding.text for finding in findings[:_MAX_TEXTS])


def _cells(columns: tuple[Column, ...], texts: tuple[str, ...]) -> list[Cell]:
    return [_cell(column, each) for column, each in zip(columns, texts)]


def _cell(column: Column, plain: str) -> Cell:
    if column.title in _NAMES:
        return _PATH, name(plain)
    return (_NUMBER if column.is_number else ""), text(plain)


def _table(caption: str, columns: tuple[Column, ...], rows: list[list[Cell]]) -> Html:
    return table(caption, [column.title.capitalize() for column in columns], rows)
