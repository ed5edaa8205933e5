"""``dfud status``: what LOGS says about the uploads from a directory."""

from __future__ import annotations

import json
import sys
from datetime import datetime, timezone
from typing import Any

import click

from dfud.commands.command import CONTEXT, FILES, Command, Example, version_option
from dfud.commands.options import check_topic, directory_argument, option, state_dir_option
from dfud.commands.shown_options import CLEAR, PLUGIN, plugin_options, repeat, shown_options, take_limits
from dfud.commands.status_text import as_json, lines
from dfud.commands.status_topics import chosen_topics, explain
from dfud.core.text import escaped
from dfud.errors import EXIT_OK, UsageError
from dfud.logs.layout import LogsFolder
from dfud.logs.status import run_report, topic_status
from dfud.logs.status_check import Finding, Level, Limits, check, line, performance_data

_EXAMPLES = (
    Example("Show what is uploaded, and what is not", "/data/run42"),
    Example("Keep a page up to date for a web server", "/data/run42 --html /var/www/run42.html --watch"),
    Example(
        "Answer as plugins of Nagios do, for a run from cron every 5 minutes",
        "/data/run42 --check --once_every 600",
    ),
)


@click.command(cls=Command, context_settings=CONTEXT, examples=_EXAMPLES)
@directory_argument(readable=False)  # LOGS has to be, no more
@option("--topic_name", metavar="TOPIC", callback=check_topic, group=FILES, help="Show this topic only.")
@state_dir_option()
@shown_options(interval_s=5)
@plugin_options("LOGS")
@option(
    "--may_be_ended",
    is_flag=True,
    group=PLUGIN,
    help="An upload that was ended in order, with status 0, is fine.",
)
@version_option()
def status(
    directory: str,
    topic_name: str | None,
    state_dir: str | None,
    as_json_text: bool,
    html_file: str | None,
    watch: bool,
    interval: float,
    as_plugin: bool,
    may_be_ended: bool,
    **options: Any,
) -> int:
    """Show what was uploaded from DIR and what remains to be sent.

    It reads DIR/LOGS only: no broker is contacted and nothing is written, so it can be run at any time. The tables
    of a running uploader are at most 5 seconds old. Exit status: 0 success; 2 DIR has no LOGS.

    With --html it writes one page that loads nothing from elsewhere: what is done, under way, failed, and rates.

    With --check it reads no table, however large, and prints one line with performance data. Exit status: 0 fine;
    1 warning; 2 critical: not running, status not fresh, broker unreachable, files that could not be delivered, a
    file that has waited too long, LOGS nearly full; 3 unknown.
    """
    limits = take_limits(options, may_be_ended)
    if html_file is not None:
        from dfud.commands.status_html import page_maker  # what is not asked for is not imported

        if as_plugin or as_json_text:
            raise UsageError("--html makes a page: use it without --check and --json")
        make = page_maker(html_file, directory, topic_name, state_dir, limits, interval if watch else None)
        return repeat(make, interval) if watch else make()
    if as_plugin:
        if watch or as_json_text:
            raise UsageError("--check prints one line: use it without --watch and --json")
        level, text = _check(directory, topic_name, state_dir, limits)
        click.echo(text)
        return level
    if not watch:
        click.echo(_shown(directory, topic_name, state_dir, as_json_text))
        return EXIT_OK
    is_screen = sys.stdout.isatty() and not as_json_text
    end = "\n" if is_screen or as_json_text else "\n\n"

    def show() -> int:
        text = _shown(directory, topic_name, state_dir, as_json_text, 0)
        click.echo((CLEAR if is_screen else "") + text + end, nl=False)
        return EXIT_OK

    return repeat(show, interval)


def _shown(
    directory: str, topic_name: str | None, state_dir: str | None, as_json_text: bool, indent: int | None = 2
) -> str:
    """Return what is shown of the topics; UsageError if there are none."""
    try:
        chosen = chosen_topics(directory, topic_name, state_dir)
        statuses = [topic_status(LogsFolder(directory, topic, state_dir)) for topic in chosen]
    except OSError as error:
        raise UsageError(explain(directory, state_dir, error)) from None
    if as_json_text:
        return json.dumps({"topics": [as_json(topic) for topic in statuses]}, indent=indent or None)
    if not statuses:
        return escaped(f"nothing has been uploaded from {directory} yet")
    now = datetime.now(timezone.utc)
    return "\n\n".join("\n".join(map(escaped, lines(topic, now))) for topic in statuses)


def _check(directory: str, topic_name: str | None, state_dir: str | None, limits: Limits) -> tuple[Level, str]:
    """Return the exit status and the line of --check."""
    found, performance = [], []
    try:
        chosen = chosen_topics(directory, topic_name, state_dir)
        for topic in chosen:
            folder = LogsFolder(directory, topic, state_dir)
            report, free_bytes = run_report(folder), folder.free_bytes
            findings = check(report, limits, free_bytes, datetime.now(timezone.utc))
            name, prefix = (f"{topic}: ", f"{topic}_") if len(chosen) > 1 else ("", "")
            found += [Finding(level, name + text) for level, text in findings]
            performance.append(performance_data(report.status, limits, free_bytes, prefix))
    except UsageError as error:
        found.append(Finding(Level.CRITICAL, str(error)))
    except OSError as error:
        is_missing = isinstance(error, (FileNotFoundError, NotADirectoryError))
        level = Level.CRITICAL if is_missing else Level.UNKNOWN
        found.append(Finding(level, explain(directory, state_dir, error)))
    return line(found or [Finding(Level.CRITICAL, "no upload is running")], " ".join(performance))
