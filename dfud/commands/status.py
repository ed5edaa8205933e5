"""``dfud status``: what LOGS says about the uploads from a directory."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator

import click

from dfud.commands.main import CONTEXT
from dfud.commands.options import check_topic, option, state_dir_option
from dfud.core.text import escaped
from dfud.errors import EXIT_OK, UsageError
from dfud.logs.layout import LogsFolder, topics
from dfud.logs.owner import check_owner
from dfud.logs.session import RunState
from dfud.logs.status import TopicStatus, topic_status

_RUNS = {
    RunState.RUNNING: "an uploader is running",
    RunState.ENDED: "no uploader is running",
    RunState.UNFINISHED: "no uploader is running; start it again: the last one may have left something unsent",
}
_UNITS = ("bytes", "kB", "MB", "GB", "TB", "PB")
_MAX_BAD_ROWS = 10


@click.command(context_settings=CONTEXT)
@click.argument("directory", metavar="DIR", type=click.Path())
@option("--topic_name", metavar="TOPIC", callback=check_topic, help="Show this topic only.")
@state_dir_option()
@option("--json", "as_json", is_flag=True, help="Print JSON, for machines.")
def status(directory: str, topic_name: str | None, state_dir: str | None, as_json: bool) -> int:
    """Show what was uploaded from DIR and what remains to be sent.

    It reads DIR/LOGS only: no broker is contacted and nothing is written, so it can be run at any time. The tables
    of a running uploader are at most 5 seconds old. Exit status: 0 success; 2 DIR has no LOGS.
    """
    try:
        logs = LogsFolder(directory, "", state_dir)
        known = topics(logs)
        check_owner(logs)
        if topic_name is not None and topic_name not in known:
            raise UsageError(
                f"nothing was uploaded from {directory} to topic {topic_name}; "
                f"LOGS has tables for {', '.join(known) or 'no topic'}"
            )
        chosen = known if topic_name is None else [topic_name]
        statuses = [topic_status(LogsFolder(directory, topic, state_dir)) for topic in chosen]
    except OSError as error:
        raise UsageError(_explain(directory, state_dir, error)) from None
    if as_json:
        click.echo(json.dumps({"topics": [_as_json(topic) for topic in statuses]}, indent=2))
    elif statuses:
        click.echo("\n\n".join("\n".join(map(escaped, _lines(topic))) for topic in statuses))
    else:
        click.echo(escaped(f"nothing has been uploaded from {directory} yet"))
    return EXIT_OK


def _explain(directory: str, state_dir: str | None, error: OSError) -> str:
    path = error.filename or directory
    if not os.path.isdir(directory):
        return f"{directory} is not a directory; give the directory that is uploaded"
    if not isinstance(error, FileNotFoundError):
        return f"cannot read {path}: {error.strerror}"
    return f"{state_dir or directory} has no LOGS: dfud has not uploaded anything from it"


def _lines(topic: TopicStatus) -> Iterator[str]:
    completed, in_progress, bad = topic.completed, topic.in_progress, topic.bad_rows
    yield f"topic {topic.topic}: {_RUNS[topic.run]}"
    last = f", the last at {completed.last}" if completed.last else ""
    yield f"  completed:   {_amount(completed.files, completed.size)}{last}"
    chunks = f", {in_progress.chunks_to_send:,} of {in_progress.chunks:,} chunks to be sent"
    yield f"  in progress: {_amount(in_progress.files, in_progress.size)}{chunks if in_progress.files else ''}"
    if bad:
        yield f"  bad rows:    {len(bad):,}, which the next upload sets aside"
        for table, row in bad[:_MAX_BAD_ROWS]:
            yield f"    row {row.number} of {os.path.basename(table)}: {row.reason}"
        if len(bad) > _MAX_BAD_ROWS:
            yield f"    and {len(bad) - _MAX_BAD_ROWS:,} more"
    if topic.to_import:
        names = ", ".join(map(os.path.basename, topic.to_import))
        yield f"  OpenMSIStream's tables, which the next upload imports, are not counted: {names}"


def _amount(files: int, size: int) -> str:
    return f"{files:,} {'file' if files == 1 else 'files'}, {shown_size(size)}"


def shown_size(size: int) -> str:
    """Return a number of bytes in the unit that reads best.

    >>> shown_size(999), shown_size(61_234_567), shown_size(999_999)
    ('999 bytes', '61.2 MB', '1.0 MB')
    """
    if size < 1000:
        return f"{size} {_UNITS[0]}"
    value, unit = float(size), 0
    while value >= 999.95 and unit < len(_UNITS) - 1:
        value, unit = value / 1000, unit + 1
    return f"{value:,.1f} {_UNITS[unit]}"


def _as_json(topic: TopicStatus) -> dict[str, object]:
    return {
        "topic": topic.topic,
        "run": topic.run.value,
        "completed": topic.completed._asdict(),
        "in_progress": topic.in_progress._asdict(),
        "bad_rows": [{"table": table, "row": row.number, "why": row.reason} for table, row in topic.bad_rows],
        "to_take_over": topic.to_import,
    }
