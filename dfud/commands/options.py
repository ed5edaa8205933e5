"""Options that several commands have, and the checks of their values."""

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
    """Return the topic name, or None if it was not given. Raises BadParameter for a name that Kafka forbids."""
    if value is not None and (not _TOPIC.fullmatch(value) or value in (".", "..")):
        raise click.BadParameter(f"{value!r} is not a name that Kafka allows: letters, digits, '.', '_' and '-'")
    return value


def check_regex(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
    """Return the regular expression. Raises BadParameter if it does not compile."""
    try:
        re.compile(value)
    except (re.error, OverflowError, RecursionError) as error:
        raise click.BadParameter(f"{value!r} is not a regular expression: {error}") from None
    return value


def check_level(_context: click.Context, _parameter: click.Parameter, value: str) -> int:
    """Return the level of `logging` with this name or number. Raises BadParameter."""
    name = value.strip().upper()
    if name.isascii() and name.isdigit():
        return int(name)
    level = logging.getLevelName(name)
    if not isinstance(level, int):
        raise click.BadParameter(f"{value!r} is not a level: debug, info, warning, error, critical or a number")
    return level


def check_finite(_context: click.Context, _parameter: click.Parameter, value: float) -> float:
    """Return the number of seconds. Raises BadParameter for 0, infinity and NaN."""
    if not math.isfinite(value) or value == 0:
        raise click.BadParameter(f"{value} is not a number of seconds; a negative one prints no '.'")
    return value


def threads_option(what: str) -> Callable[[Command], Command]:
    """Return the option for the number of processes; `what` is its help text."""
    return option("--n_threads", type=click.IntRange(1, _MAX_THREADS), default=2, show_default=True, help=what)


def upload_regex_option(what: str) -> Callable[[Command], Command]:
    """Return the option that selects files by their names; `what` is its help text."""
    return option(
        "--upload_regex", default=DEFAULT_UPLOAD_REGEX, callback=check_regex, show_default=True, help=what
    )


def update_option() -> Callable[[Command], Command]:
    """Return the option for the interval between signs of life."""
    return option(
        "--update_seconds",
        type=float,
        default=300,
        callback=check_finite,
        show_default=True,
        help='Seconds between dots (".") that show that the program is alive; -1 for none.',
    )


def logger_options(log_file: str) -> Callable[[Command], Command]:
    """Return the three options for logging; the log file is by default `log_file` in LOGS."""

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
