"""What the commands' options have in common."""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Callable
from typing import Any, TypeVar

import click

from dfud.core.names import DEFAULT_UPLOAD_REGEX

_MAX_THREADS = 64
_TOPIC = re.compile(r"[A-Za-z0-9._-]{1,249}")  # Kafka's own rule

Command = TypeVar("Command", bound=Callable[..., Any])


def option(name: str, *arguments: Any, **settings: Any) -> Callable[[Command], Command]:
    """Return a click option that is also accepted in its dashed spelling."""
    spellings = dict.fromkeys([name, "--" + name[2:].replace("_", "-")])
    return click.option(*spellings, *arguments, **settings)


def check_topic(_context: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
    """Return the name of a topic, or none where none is given; BadParameter for one that Kafka forbids."""
    if value is not None and (not _TOPIC.fullmatch(value) or value in (".", "..")):
        raise click.BadParameter(f"{value!r} is not a name that Kafka allows: letters, digits, '.', '_' and '-'")
    return value


def check_regex(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
    """Return a regular expression that compiles."""
    try:
        re.compile(value)
    except (re.error, OverflowError, RecursionError) as problem:
        raise click.BadParameter(f"{value!r} is not a regular expression: {problem}") from None
    return value


def check_level(_context: click.Context, _parameter: click.Parameter, value: str) -> int:
    """Return a level of `logging` by its name or number."""
    name = value.strip().upper()
    if name.isascii() and name.isdigit():
        return int(name)
    level = logging.getLevelName(name)
    if not isinstance(level, int):
        raise click.BadParameter(f"{value!r} is not a level: debug, info, warning, error, critical or a number")
    return level


def check_finite(_context: click.Context, _parameter: click.Parameter, value: float) -> float:
    """Return a number of seconds between signs of life."""
    if not math.isfinite(value) or value == 0:
        raise click.BadParameter(f"{value} is not a number of seconds; a negative one prints no '.'")
    return value


def threads_option(what: str) -> Callable[[Command], Command]:
    """Return the option of how many processes there are; `what` is its help."""
    return option("--n_threads", type=click.IntRange(1, _MAX_THREADS), default=2, show_default=True, help=what)


def upload_regex_option(what: str) -> Callable[[Command], Command]:
    """Return the option of which files count, by their names; `what` is its help."""
    return option(
        "--upload_regex", default=DEFAULT_UPLOAD_REGEX, callback=check_regex, show_default=True, help=what
    )


def update_option() -> Callable[[Command], Command]:
    """Return the option of how often a sign of life is given."""
    return option(
        "--update_seconds",
        type=float,
        default=300,
        callback=check_finite,
        show_default=True,
        help='Seconds between printing a "." to tell that the program is alive; -1 for none.',
    )


def logger_options(log_file: str) -> Callable[[Command], Command]:
    """Return the three options of what is told where, of a command whose log is `log_file` in LOGS."""

    def add(command: Command) -> Command:
        level = {"default": "info", "callback": check_level, "show_default": True}
        for decorate in (
            option("--logger_file_path", metavar="FILE", help=f"Log file; DIR/LOGS/{log_file} by default."),
            option("--logger_file_level", help="Level of the log file.", **level),
            option("--logger_stream_level", help="Level of the console.", **level),
        ):
            command = decorate(command)
        return command

    return add
