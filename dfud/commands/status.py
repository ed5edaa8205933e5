"""``dfud status``: what LOGS says about the uploads from a directory."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from datetime import datetime, timezone

import click

from dfud.commands.command import CONTEXT, FILES, Command, Example, version_option
from dfud.commands.options import check_topic, directory_argument, option, state_dir_option
from dfud.commands.status_check import Finding, Level, Limits, check, line, performance_data
from dfud.commands.status_text import as_json, lines
from dfud.core.text import escaped
from dfud.errors import EXIT_OK, UsageError
from dfud.logs.layout import LogsFolder, topics
from dfud.logs.owner import check_owner
from dfud.logs.status import run_report, topic_status

_MB = 1_000_000
_PAUSE_FACTOR = 4  # times what reading the tables takes, at least, between two readings
_CLEAR = "\x1b[H\x1b[2J"  # the terminal

_seconds = click.FloatRange(min=0)


_SHOWN, _CHECK = "What is shown", "Monitoring plugin"
_EXAMPLES = (
    Example("Show what is uploaded, and what is not", "/data/run42"),
    Example("Show it every second, until Ctrl-C", "/data/run42 --watch --interval 1"),
    Example(
        "Answer as plugins of Nagios do, for a run from cron every 5 minutes",
        "/data/run42 --check --once_every 600",
    ),
)


@click.command(cls=Command, context_settings=CONTEXT, examples=_EXAMPLES)
@directory_argument(readable=False)  # LOGS has to be, no more
@option("--topic_name", metavar="TOPIC", callback=check_topic, group=FILES, help="Show this topic only.")
@state_dir_option()
@option(
    "--json",
    "as_json_text",
    is_flag=True,
    group=_SHOWN,
    help="Print JSON, for machines; with --watch, a line each time.",
)
@option("--watch", is_flag=True, group=_SHOWN, help="Show it again and again, until Ctrl-C.")
@option(
    "--interval",
    metavar="SECONDS",
    type=_seconds,
    default=5,
    show_default=True,
    group=_SHOWN,
    help="Time between, with --watch.",
)
@option("--check", "as_plugin", is_flag=True, group=_CHECK, help="Answer as a monitoring plugin does; see above.")
@option(
    "--oldest_warning",
    metavar="SECONDS",
    type=_seconds,
    default=600,
    show_default=True,
    group=_CHECK,
    help="Time that a file may wait before --check warns.",
)
@option(
    "--oldest_critical",
    metavar="SECONDS",
    type=_seconds,
    default=3600,
    show_default=True,
    group=_CHECK,
    help="Time that a file may wait before that is critical.",
)
@option(
    "--space_warning",
    type=click.FloatRange(min=0),
    metavar="MB",
    default=1000,
    show_default=True,
    group=_CHECK,
    help="Space that must be free for LOGS before --check warns.",
)
@option(
    "--space_critical",
    type=click.FloatRange(min=0),
    metavar="MB",
    default=100,
    show_default=True,
    group=_CHECK,
    help="Space that must be free for LOGS before that is critical.",
)
@option(
    "--may_be_ended",
    is_flag=True,
    group=_CHECK,
    help="An upload that was ended in order, with status 0, is fine.",
)
@option(
    "--once_every",
    type=_seconds,
    metavar="SECONDS",
    group=_CHECK,
    help="An upload with --once must have ended within this time. [default: at any time]",
)
@version_option()
def status(
    directory: str,
    topic_name: str | None,
    state_dir: str | None,
    as_json_text: bool,
    watch: bool,
    interval: float,
    as_plugin: bool,
    oldest_warning: float,
    oldest_critical: float,
    space_warning: float,
    space_critical: float,
    may_be_ended: bool,
    once_every: float | None,
) -> int:
    """Show what was uploaded from DIR and what remains to be sent.

    It reads DIR/LOGS only: no broker is contacted and nothing is written, so it can be run at any time. The tables
    of a running uploader are at most 5 seconds old. Exit status: 0 success; 2 DIR has no LOGS.

    With --check it reads no table, however large, and prints one line with performance data. Exit status: 0 fine;
    1 warning; 2 critical: not running, status not fresh, broker unreachable, files that could not be delivered, a
    file that has waited too long, LOGS nearly full; 3 unknown.
    """
    if as_plugin:
        if watch or as_json_text:
            raise UsageError("--check prints one line: use it without --watch and --json")
        limits = Limits(
            oldest_warning,
            oldest_critical,
            int(space_warning * _MB),
            int(space_critical * _MB),
            may_be_ended,
            once_every,
        )
        level, text = _check(directory, topic_name, state_dir, limits)
        click.echo(text)
        return level
    if not watch:
        click.echo(_shown(directory, topic_name, state_dir, as_json_text))
        return EXIT_OK
    return _watch(lambda: _shown(directory, topic_name, state_dir, as_json_text, 0), interval, as_json_text)


def _watch(show: Callable[[], str], interval: float, as_json_text: bool) -> int:
    """Print what `show` returns again and again, until the user has seen enough."""
    is_screen = sys.stdout.isatty() and not as_json_text
    end = "\n" if is_screen or as_json_text else "\n\n"
    try:
        while True:
            began = time.monotonic()
            text = show()
            cost_s = time.monotonic() - began
            click.echo((_CLEAR if is_screen else "") + text + end, nl=False)
            time.sleep(max(interval, _PAUSE_FACTOR * cost_s))
    except KeyboardInterrupt:
        return EXIT_OK
    except BrokenPipeError:  # as with "| head"
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is buffered has nowhere to go
        return EXIT_OK


def _shown(
    directory: str, topic_name: str | None, state_dir: str | None, as_json_text: bool, indent: int | None = 2
) -> str:
    """Return what is shown of the topics; UsageError if there are none."""
    try:
        chosen = _topics(directory, topic_name, state_dir)
        statuses = [topic_status(LogsFolder(directory, topic, state_dir)) for topic in chosen]
    except OSError as error:
        raise UsageError(_explain(directory, state_dir, error)) from None
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
        chosen = _topics(directory, topic_name, state_dir)
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
        found.append(Finding(level, _explain(directory, state_dir, error)))
    return line(found or [Finding(Level.CRITICAL, "no upload is running")], " ".join(performance))


def _topics(directory: str, topic_name: str | None, state_dir: str | None) -> list[str]:
    """Return the topics that are asked for; UsageError if LOGS has none of them, OSError if it cannot be read."""
    logs = LogsFolder(directory, "", state_dir)
    known = topics(logs)
    check_owner(logs)
    if topic_name is not None and topic_name not in known:
        raise UsageError(
            f"nothing was uploaded from {directory} to topic {topic_name}; "
            f"LOGS has tables for {', '.join(known) or 'no topic'}"
        )
    return known if topic_name is None else [topic_name]


def _explain(directory: str, state_dir: str | None, error: OSError) -> str:
    path = error.filename or directory
    if not os.path.isdir(directory):
        return f"{directory} is not a directory; give the directory that is uploaded"
    if not isinstance(error, FileNotFoundError):
        return f"cannot read {path}: {error.strerror}"
    hint = "" if state_dir else ", or with --state_dir, which is to be given here, too"
    return f"{state_dir or directory} has no LOGS: dfud has not uploaded anything from it{hint}"
