"""``dfud status --html``: reads LOGS, makes the page, and puts it where it is wanted."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import datetime, timedelta, timezone

import click

from dfud.commands.status_topics import chosen_topics, explain
from dfud.errors import EXIT_OK, UsageError
from dfud.logs.layout import LogsFolder
from dfud.logs.replaced_file import ReplacedFile
from dfud.logs.status import topic_status
from dfud.logs.status_check import Limits, check, ordered
from dfud.status_page.history import History
from dfud.status_page.page import Making, page
from dfud.status_page.topic import Finding, TopicPage

_OPTION = "--html"
_STANDARD_OUTPUT = "-"
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
    if path == _STANDARD_OUTPUT:
        if every_s is not None:
            raise UsageError(f"{_OPTION} - prints one page: name a file to use it with --watch")
        file = None
    else:
        file = ReplacedFile(path, LogsFolder(directory, "", state_dir), directory)
        if not file.name.endswith(_SUFFIXES):
            raise UsageError(
                f"{_OPTION} {path}: its name must end in .html, so that nothing else is overwritten by mistake"
            )
        file.check(_OPTION)

    def make() -> int:
        content = _content(directory, topic_name, state_dir, limits._replace(may_be_ended=True), every_s)
        if file is None:
            click.echo(content, nl=False)
            return EXIT_OK
        try:
            file.replace([content])
        except OSError as error:
            raise UsageError(f"cannot write {_OPTION} {file.path}: {error.strerror or error}") from None
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
