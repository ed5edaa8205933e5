"""``dfud fleet``: every upload of a site, from heartbeats and receipts."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any

import click

from dfud.commands.command import CONTEXT, FILES, Command, Example, complete_files, version_option
from dfud.commands.options import check_topic, config_option, option
from dfud.commands.output_file import OutputFile
from dfud.commands.shown_options import CLEAR, SHOWN, plugin_options, repeat, shown_options, take_limits
from dfud.core.text import escaped
from dfud.display.terminal import Look, live_look, terminal_size
from dfud.errors import EXIT_OK, DfudError, UsageError
from dfud.fleet.reading import FleetReader, FleetTopics
from dfud.fleet.snapshot import Snapshot
from dfud.kafka.config import read_config
from dfud.kafka.properties import consumer_properties
from dfud.logs.status_check import Finding, Level, line

_STDOUT = 1
_OPTIONS = "--config kafka.config --heartbeat_topic_name heartbeats"
_EXAMPLES = (
    Example("See all uploads, and who receives", f"{_OPTIONS} --receipts receipts"),
    Example("Keep a page up to date for a web server", f"{_OPTIONS} --html /var/www/fleet.html --watch"),
    Example("Answer as plugins of Nagios do", f"{_OPTIONS} --check"),
)


@click.command(cls=Command, context_settings=CONTEXT, examples=_EXAMPLES)
@config_option("consumer")
@option(
    "--heartbeat_topic_name",
    metavar="TOPIC",
    required=True,
    callback=check_topic,
    group=FILES,
    help="Topic that uploads send heartbeats to, by their option of this name.",
)
@option(
    "--receipts", metavar="TOPIC", callback=check_topic, group=FILES, help="Topic with the receipts of receivers."
)
@option(
    "--since",
    "since_h",
    metavar="HOURS",
    type=click.FloatRange(0.1, 100_000),
    default=24,
    show_default=True,
    group=FILES,
    help="How far back heartbeats are read: an upload that has sent none since then is not listed.",
)
@shown_options(interval_s=10)
@option(
    "--metrics_file",
    metavar="FILE",
    shell_complete=complete_files,
    group=SHOWN,
    help='Write metrics for Prometheus into this file, or to standard output for "-".',
)
@plugin_options("DIR and LOGS")
@version_option()
def fleet(config: str, heartbeat_topic_name: str, receipts: str | None, since_h: float, **options: Any) -> int:
    """Show every upload of a site, from what is on topics.

    Who is alive, what waits, and who receives: it reads the heartbeats of uploads and the receipts of downloads,
    commits no offsets, and needs no server. What is wrong comes first. Exit status: 0 success; 2 bad usage or
    configuration, or a topic that cannot be read.

    With --check it prints one line with performance data. Exit status: 0 fine; 1 warning: a late heartbeat, or
    what `dfud status --check` warns of; 2 critical: an upload that has gone without a word or has ended with
    another status than 0, a receiver that has lost something, or what is critical there; 3 unknown: the topics
    cannot be read.
    """  # fmt: skip
    outputs = [name for name in ("as_json_text", "as_plugin", "html_file", "metrics_file") if options[name]]
    if len(outputs) > 1 and outputs != ["html_file", "metrics_file"]:
        raise UsageError("only --html and --metrics_file go together; leave out what is too much")
    if options["as_plugin"] and options["watch"]:
        raise UsageError("--check prints one line: use it without --watch")
    limits = take_limits(options, may_be_ended=True)
    client = read_config(config, "consumer")
    for warning in client.warnings:
        print(escaped(f"dfud: warning: {warning}"), file=sys.stderr)
    properties = consumer_properties(client, "dfud-fleet")
    topics = FleetTopics(heartbeat_topic_name, receipts, since_h * 3600, properties, client.path)
    show = _shower(options)
    reader = FleetReader(topics, limits)
    if options["as_plugin"]:
        return _check(reader)
    if not options["watch"]:
        show(reader.read())
        return EXIT_OK
    return _watch(reader, show, options["interval"])


def _check(reader: FleetReader) -> int:
    try:
        level, text = reader.read().check_line()
    except DfudError as error:
        level, text = line([Finding(Level.UNKNOWN, str(error))])
    click.echo(text)
    return level


def _watch(reader: FleetReader, show: Callable[[Snapshot], None], interval: float) -> int:
    """Show what there is again and again; it goes on without a broker once it had one."""
    has_shown, trouble = False, ""

    def look() -> None:
        nonlocal has_shown, trouble
        try:
            snapshot = reader.read()
        except DfudError as error:
            if not has_shown:
                raise
            if str(error) != trouble:
                trouble = str(error)
                print(escaped(f"dfud fleet: {trouble}; retrying"), file=sys.stderr)
        else:
            has_shown, trouble = True, ""
            show(snapshot)

    return repeat(look, interval)


def _shower(options: dict[str, Any]) -> Callable[[Snapshot], None]:
    """Return what shows a fleet as the user wants it. Raises UsageError for a file that cannot be written."""
    watch = bool(options["watch"])
    every_s = options["interval"] if watch else None
    html, metrics = options["html_file"], options["metrics_file"]
    if html is not None or metrics is not None:
        page = None if html is None else OutputFile("--html", html, (".html", ".htm"), watch)
        samples = None if metrics is None else OutputFile("--metrics_file", metrics, (".prom",), watch)
        return lambda snapshot: _write(snapshot, page, samples, every_s)
    if options["as_json_text"]:
        return lambda snapshot: _print_json(snapshot, None if watch else 2)
    return lambda snapshot: _print_table(snapshot, watch)


def _write(
    snapshot: Snapshot, page_file: OutputFile | None, metrics_file: OutputFile | None, every_s: float | None
) -> None:
    if page_file is not None:
        from dfud.fleet.page import page  # what is not asked for is not imported

        here = timezone(datetime.now().astimezone().utcoffset() or timedelta(0))
        page_file.write(page(snapshot, os.uname().nodename, every_s, here).encode())
    if metrics_file is not None:
        from dfud.fleet.prometheus import render

        metrics_file.write(render(snapshot))


def _print_json(snapshot: Snapshot, indent: int | None) -> None:
    from dfud.fleet.as_json import as_json

    click.echo(json.dumps(as_json(snapshot), indent=indent))


def _print_table(snapshot: Snapshot, watch: bool) -> None:
    from dfud.display.lines import ansi
    from dfud.fleet.table import cut, paint

    look = live_look(_STDOUT, os.environ)
    is_screen = look is not None or os.isatty(_STDOUT)
    size = terminal_size(_STDOUT)
    look = look or Look(has_colour=False, has_unicode=not is_screen)
    lines = paint(snapshot, size.columns if is_screen else None, look)
    if watch and is_screen:
        lines = cut(lines, size.rows - 1)
    text = "\n".join(ansi(each, look) for each in lines)
    click.echo((CLEAR if watch and is_screen else "") + text + ("\n" if watch and not is_screen else ""))
