"""The section of the page about one topic."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from dfud.core.elapsed import duration
from dfud.core.sizes import shown_size
from dfud.core.text import counted
from dfud.logs.session import RunState
from dfud.logs.status import TopicStatus
from dfud.logs.upload_status import UploadStatus
from dfud.status_page.chart import chart
from dfud.status_page.history import DAY_S, History
from dfud.status_page.markup import Html, element, join, name, text, time
from dfud.status_page.tables import (
    acknowledged_bytes,
    failures_table,
    folders_table,
    newest_table,
    under_way_table,
    waiting_table,
)

_SIGNS = {"ok": "✓", "warning": "▲", "unknown": "?", "critical": "✕"}
_RUNS = {
    RunState.RUNNING: "running",
    RunState.ENDED: "not running",
    RunState.UNFINISHED: "not running: start it again",
}
_MAX_BAD_ROWS = 10


class Finding(NamedTuple):
    """One thing that is as it should be, or is not."""

    level: str  # ok, warning, unknown or critical
    text: str


class TopicPage(NamedTuple):
    """What the page says of a topic."""

    status: TopicStatus
    history: History
    findings: Sequence[Finding]  # the worst first


def section(page: TopicPage, number: int) -> Html:
    """Return the section about a topic, the `number`-th of the page."""
    heading = element("h2", text("Topic "), name(page.status.topic), id=f"topic-{number}")
    return element("section", heading, *_parts(page), aria_labelledby=f"topic-{number}")


def _parts(page: TopicPage) -> Iterator[Html]:
    topic, history = page.status, page.history
    yield element("ul", *(_finding(*finding) for finding in page.findings), class_="findings")
    yield element("dl", *_facts(page))
    yield from _rates(history, topic.report.run is RunState.RUNNING)
    status = topic.report.status
    if status is not None and status.failures.causes:
        yield element("h3", text("Failures"))
        yield failures_table(status.failures.causes)
    under_way = [row for row in topic.unfinished if row.n_chunks_delivered]
    waiting = [row for row in topic.unfinished if not row.n_chunks_delivered]
    if under_way:
        is_running = topic.report.run is RunState.RUNNING
        yield element("h3", text("Under way" if is_running else "Begun: the next run sends the rest"))
        yield under_way_table(under_way)
    if waiting:
        yield element("h3", text("Waiting"))
        yield waiting_table(waiting)
    if topic.completed.versions:
        yield element("h3", text("Folders"))
        yield folders_table(history.folders, history.shift_s)
        yield element("h3", text("Completed"))
        yield newest_table(history.newest(), history, topic.completed.versions)
    yield from _troubles(topic)


def _finding(level: str, what: str) -> Html:
    sign = element("strong", text(f"{_SIGNS[level]} {level}:"))
    return element("li", sign, name(what), class_=level)


def _rates(history: History, is_running: bool) -> Iterator[Html]:
    if not history.whole:
        return
    yield element("h3", text("Rates"))
    said = "Each file counts, with all of its bytes, when it is completed. Where there is no bar, none was."
    yield element("p", text(said), class_="soft")
    end_s = history.now_s if is_running else 0
    if history.last_day and history.whole.range_s > 2 * DAY_S:
        yield element("h4", text("The last 24 hours"))
        yield element("div", chart(history.last_day.series(end_s), history.shift_s), class_="charts")
        yield element("h4", text("The whole time"))
    yield element("div", chart(history.whole.series(end_s), history.shift_s), class_="charts")


def _facts(page: TopicPage) -> Iterator[Html]:
    """Yield the numbers at the top."""
    completed, waiting = page.status.completed, page.status.in_progress
    done = sum(map(acknowledged_bytes, page.status.unfinished))
    last = [join(text("the last at "), time(completed.last))] if completed.last else []
    versions = (
        [text(f"in {counted(completed.versions, 'version')}")] if completed.versions != completed.files else []
    )
    amount = text(f"{shown_size(completed.size)}, {counted(page.history.chunks, 'chunk')}")
    yield _fact("Completed", text(counted(completed.files, "file")), *versions, amount, *last)
    sizes = text(f"{shown_size(waiting.size)}, {shown_size(done)} of it acknowledged")
    chunks = text(f"{waiting.chunks_to_send:,} of {counted(waiting.chunks, 'chunk')} to be sent")
    amounts = [sizes, chunks] if waiting.versions else []
    yield _fact("Under way and waiting", text(counted(waiting.files, "file")), *amounts)
    status, run = page.status.report.status, page.status.report.run
    if status is None:
        yield _fact("Run", text(_RUNS[run]))
        return
    yield _failed_fact(status)
    is_running = run is RunState.RUNNING and status.state != "ended"
    if is_running:
        yield from _present_facts(status)
    state = status.state if is_running else _RUNS[run]
    where = join(text(f"process {status.pid} on "), name(status.host))
    ended = [] if status.exit_status is None else [text(f"exit status {status.exit_status}")]
    said = [join(text("since "), time(status.started)), join(text("status written "), time(status.written))]
    yield _fact("Run" if is_running else "Last run", text(state), where, *said, *ended)


def _failed_fact(status: UploadStatus) -> Html:
    failures = status.failures
    others = [
        text(f"{counted(number, 'file')} {what}")
        for number, what in (
            (failures.retrying, "cannot be read, tried again"),
            (failures.held, "still being written"),
            (failures.left, "left for the next run"),
        )
        if number
    ]
    return _fact("Failed in this run", text(counted(failures.failed, "file")), *others)


def _present_facts(status: UploadStatus) -> Iterator[Html]:
    broker, rates, oldest = status.broker, status.rates, status.oldest
    mean = (
        f"{rates.chunks:,.1f} chunks and {rates.versions:,.1f} files per second, over {duration(rates.interval_s)}"
    )
    yield _fact("Acknowledged now", text(f"{shown_size(max(0, round(rates.bytes)))} per second"), text(mean))
    since = [join(text("since "), time(broker.since))] if broker.since else []
    cause = [name(broker.cause)] if broker.cause else []
    yield _fact("Broker", text(broker.state), *since, *cause)
    if oldest is not None:
        yield _fact("Waits longest", text(duration(oldest.age_s)), name(oldest.path))
    if status.backlog.is_full:
        yield _fact("Backlog", text("full"), text("more files may be ready: they wait until there is room"))


def _fact(term: str, *values: Html) -> Html:
    return element("div", element("dt", text(term)), *(element("dd", value) for value in values))


def _troubles(topic: TopicStatus) -> Iterator[Html]:
    """Yield what was not read of the tables."""
    if topic.bad_rows:
        yield element("h3", text("Bad rows"))
        yield element(
            "p",
            text(f"{counted(len(topic.bad_rows), 'row')} cannot be understood; the next upload sets them aside."),
        )
        items = [
            element("li", name(f"row {row.number} of {os.path.basename(table)}: {row.reason}"))
            for table, row in topic.bad_rows[:_MAX_BAD_ROWS]
        ]
        if len(topic.bad_rows) > _MAX_BAD_ROWS:
            items.append(element("li", text(f"and {len(topic.bad_rows) - _MAX_BAD_ROWS:,} more")))
        yield element("ul", *items)
    if topic.to_import:
        yield element("h3", text("Not counted"))
        names = ", ".join(map(os.path.basename, topic.to_import))
        yield element("p", text("OpenMSIStream's tables, which the next upload imports: "), name(names))
