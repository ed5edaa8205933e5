"""Options of the commands that show uploads: once or again and again, or as a monitoring plugin."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from typing import Any

import click

from dfud.commands.command import complete_files
from dfud.commands.options import Command, all_of, option
from dfud.errors import EXIT_OK
from dfud.logs.status_check import Limits

SHOWN = "What is shown"
PLUGIN = "Monitoring plugin"
CLEAR = "\x1b[H\x1b[2J"  # the terminal
_PAUSE_FACTOR = 4  # times what a look takes, at least, between two looks
_MB = 1_000_000

SECONDS = click.FloatRange(min=0)


def shown_options(interval_s: int) -> Callable[[Command], Command]:
    """Return what adds the options of what is shown, every `interval_s` with --watch unless the user says."""
    return all_of(
        option(
            "--json",
            "as_json_text",
            is_flag=True,
            group=SHOWN,
            help="Print JSON, for machines; with --watch, a line each time.",
        ),
        option(
            "--html",
            "html_file",
            metavar="FILE",
            shell_complete=complete_files,
            group=SHOWN,
            help='Write a page of HTML into this file, or to standard output for "-"; with --watch, each time.',
        ),
        option("--watch", is_flag=True, group=SHOWN, help="Show it again and again, until Ctrl-C."),
        option(
            "--interval",
            metavar="SECONDS",
            type=SECONDS,
            default=interval_s,
            show_default=True,
            group=SHOWN,
            help="Time between, with --watch.",
        ),
    )


def plugin_options(where: str) -> Callable[[Command], Command]:
    """Return what adds --check and its limits; `where` space must be free."""
    return all_of(
        option(
            "--check",
            "as_plugin",
            is_flag=True,
            group=PLUGIN,
            help="Answer as a monitoring plugin does; see above.",
        ),
        _limit("--oldest_warning", "SECONDS", 600, "Time that a file may wait before --check warns."),
        _limit("--oldest_critical", "SECONDS", 3600, "Time that a file may wait before that is critical."),
        _limit("--space_warning", "MB", 1000, f"Space that must be free for {where} before --check warns."),
        _limit("--space_critical", "MB", 100, f"Space that must be free for {where} before that is critical."),
        option(
            "--once_every",
            type=SECONDS,
            metavar="SECONDS",
            group=PLUGIN,
            help="An upload with --once must have ended within this time. [default: at any time]",
        ),
    )


def take_limits(options: dict[str, Any], may_be_ended: bool) -> Limits:
    """Take the limits of --check out of the values of the options."""
    return Limits(
        options.pop("oldest_warning"),
        options.pop("oldest_critical"),
        int(options.pop("space_warning") * _MB),
        int(options.pop("space_critical") * _MB),
        may_be_ended,
        options.pop("once_every"),
    )


def repeat(show: Callable[[], object], interval: float) -> int:
    """Call `show` again and again, every `interval` s, until the user has seen enough; return the exit status."""
    try:
        while True:
            began = time.monotonic()
            show()
            time.sleep(max(interval, _PAUSE_FACTOR * (time.monotonic() - began)))
    except KeyboardInterrupt:
        return EXIT_OK
    except BrokenPipeError:  # as with "| head"
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is buffered has nowhere to go
        return EXIT_OK


def _limit(name: str, metavar: str, default: int, what: str) -> Callable[[Command], Command]:
    return option(name, metavar=metavar, type=SECONDS, default=default, show_default=True, group=PLUGIN, help=what)
