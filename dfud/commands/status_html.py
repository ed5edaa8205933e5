"""``dfud status --html``: reads LOGS, makes the page, and puts it where it is wanted."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import datetime, timedelta, timezone

from dfud.commands.output_file import OutputFile
from dfud.commands.status_topics import chosen_topics, explain
from dfud.errors import EXIT_OK, UsageError
from dfud.logs.layout import LogsFolder
from dfud.logs.status import topic_status
from dfud.logs.status_check import Limits, check, ordered
from dfud.status_page.history import History
from dfud.status_page.page import Making, page
from dfud.status_page.topic import Finding, TopicPage

_SUFFIXES = (".html", ".htm")


def page_maker(
    path: str,
    directory: str,
    topic_name: str | None,
    state_dir: str | None,
    limits: Limits,
    every_s: float | None,
) -> Callable[[], int]:
    """Return what writes the page into the file at `path`, and returns the exit status.

    Raises UsageError if it cannot be written, or would be uploaded.
    """
    file = OutputFile("--html", path, _SUFFIXES, every_s is not None, LogsFolder(directory, "", state_dir))

    def make() -> int:
        file.write(_content(directory, topic_name, state_dir, limits._replace(may_be_ended=True), every_s))
        return EXIT_OK

    return make


def _content(
    directory: str, topic_name: str | None, state_dir: str | None, limits: Limits, every_s: float | None
) -> bytes:
    """Return the page; UsageError if LOGS cannot be read."""
    here = timezone(datetime.now().astimezone().utcoffset() or timedelta(0))
    topics = []
    try:
        for topic in chosen_topics(directory, topic_name, state_dir):
            folder = LogsFolder(directory, topic, state_dir)
            history = History(datetime.now(here))
            status = topic_status(folder, history.add)
            found = check(status.report, limits, folder.free_bytes, datetime.now(here))
            findings = [Finding(finding.level.name.lower(), finding.text) for finding in ordered(found)]
            topics.append(TopicPage(status, history, findings))
    except OSError as error:
        raise UsageError(explain(directory, state_dir, error)) from None
    making = Making(os.path.abspath(directory), os.uname().nodename, datetime.now(here), every_s)
    return page(making, topics).encode()
