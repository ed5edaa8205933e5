"""Options that several commands have, and the checks of their values."""

from __future__ import annotations

import ipaddress
import logging
import math
import os
import re
from collections.abc import Callable
from typing import Any, TypeVar

import click
from click.shell_completion import CompletionItem

from dfud.commands.command import FILES, LOG, SPEED, Option, complete_files, complete_folders
from dfud.logs.log_lines import JSON, TEXT
from dfud.logs.logfile import LogOptions

_MAX_THREADS = 64
_MAX_LOG_FILES = 1000
_UPLOAD_REGEX_HELP = (
    "It is matched from the start of the file's name or, if it has a / in it, of the path below DIR. "
)
_UPLOADED = "all but hidden files, what is in hidden folders, and *.log"
_LOOPBACK, _MAX_PORT = "127.0.0.1", 65535
_LEVELS = ("debug", "info", "warning", "error", "critical")
_TOPIC = re.compile(r"[A-Za-z0-9._-]{1,249}")  # Kafka's own rule

Command = TypeVar("Command", bound=Callable[..., Any])


def directory_argument(readable: bool = True) -> Callable[[Command], Command]:
    """Return the argument DIR, which must be `readable` if it exists."""
    kind = click.Path(readable=readable)
    return click.argument("directory", metavar="DIR", type=kind, shell_complete=complete_folders)


def config_option(section: str) -> Callable[[Command], Command]:
    """Return the option for the configuration file, of which a command needs [broker] and `section`."""
    return option(
        "--config",
        metavar="FILE",
        required=True,
        shell_complete=complete_files,
        group=FILES,
        help=f"Configuration file with the sections [broker] and [{section}].",
    )


def option(name: str, *arguments: Any, **settings: Any) -> Callable[[Command], Command]:
    """Return a click option that is also accepted in its dashed spelling."""
    spellings = dict.fromkeys([name, "--" + name[2:].replace("_", "-")])
    return click.option(*spellings, *arguments, cls=Option, **settings)


def all_of(*decorators: Callable[[Command], Command]) -> Callable[[Command], Command]:
    """Return what adds these options to a command, to be listed in their order."""

    def add(command: Command) -> Command:
        for decorate in reversed(decorators):
            command = decorate(command)
        return command

    return add


def check_topic(_context: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
    """Return the topic name, or None if it was not given. Raises BadParameter for a name that Kafka forbids."""
    if value is not None and (not _TOPIC.fullmatch(value) or value in (".", "..")):
        raise click.BadParameter(f"{value!r} is not a name that Kafka allows: letters, digits, '.', '_' and '-'")
    return value


def check_markers(
    _context: click.Context, _parameter: click.Parameter, patterns: tuple[str, ...]
) -> tuple[str, ...]:
    """Return the patterns of markers of runs. Raises BadParameter for one that no path can match."""
    for pattern in patterns:
        if not pattern or pattern.startswith("/") or pattern.endswith("/"):
            raise click.BadParameter(f"{pattern!r} is no pattern of a file's name, or of a path below DIR")
    return patterns


def check_regex(_context: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
    """Return the regular expression, or None if it was not given. Raises BadParameter if it does not compile."""
    if value is None:
        return None
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


def _complete_levels(
    _context: click.Context, _parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    return [CompletionItem(level) for level in _LEVELS if level.startswith(incomplete.lower())]


def check_address(
    _context: click.Context, _parameter: click.Parameter, value: str | None
) -> tuple[str, int] | None:
    """Return the IP address and the port of "[ADDRESS:]PORT". Raises BadParameter."""
    if value is None:
        return None
    host, _, port = value.rpartition(":")
    try:
        # No host names: resolving them takes any time, and what they mean may change.
        address = ipaddress.ip_address(host[1:-1] if host[:1] + host[-1:] == "[]" else host or _LOOPBACK)
    except ValueError:
        raise click.BadParameter(f"{value!r} has no IP address before its port") from None
    if not (port.isascii() and port.isdigit() and int(port[:6]) <= _MAX_PORT):
        raise click.BadParameter(f"{value!r} has no port from 0 to {_MAX_PORT}; give PORT or ADDRESS:PORT")
    return str(address), int(port)


def check_finite(_context: click.Context, _parameter: click.Parameter, value: float) -> float:
    """Return the number of seconds. Raises BadParameter for 0, infinity and NaN."""
    if not math.isfinite(value) or value == 0:
        raise click.BadParameter(f"{value} is not a number of seconds; a negative one prints no '.'")
    return value


def threads_option(what: str) -> Callable[[Command], Command]:
    """Return the option for the number of processes; `what` is its help text."""
    return option(
        "--n_threads",
        metavar="N",
        type=click.IntRange(1, _MAX_THREADS),
        default=2,
        show_default=True,
        group=SPEED,
        help=what,
    )


def upload_regex_option(what: str, default: str = _UPLOADED) -> Callable[[Command], Command]:
    """Return the option that selects files by names or paths; `what` and the `default` are in its help text."""
    return option(
        "--upload_regex",
        metavar="REGEX",
        callback=check_regex,
        group=FILES,
        help=f"{what} {_UPLOAD_REGEX_HELP}[default: {default}]",
    )


def follow_links_option(what: str) -> Callable[[Command], Command]:
    """Return the option that follows links out of the directory; `what` is its help text."""
    return option("--follow_links", is_flag=True, group=FILES, help=what)


def update_option() -> Callable[[Command], Command]:
    """Return the option for the interval between signs of life."""
    return option(
        "--update_seconds",
        metavar="SECONDS",
        type=float,
        default=300,
        callback=check_finite,
        show_default=True,
        group=LOG,
        help='Time between dots (".") that show that the program is alive; -1 for none.',
    )


def quiet_option() -> Callable[[Command], Command]:
    """Return the option for silence unless something is wrong."""
    return click.option(
        "--quiet",
        "-q",
        cls=Option,
        is_flag=True,
        group=LOG,
        help="Print only warnings and errors, and nothing if another instance is at work: for cron.",
    )


def apply_quiet(options: dict[str, Any]) -> bool:
    """Take `quiet` out of the values of the options, and let the others mean it; return whether it was set."""
    is_quiet: bool = options.pop("quiet")
    if is_quiet:
        options["update_seconds"] = -1.0
        options["logger_stream_level"] = max(options["logger_stream_level"], logging.WARNING)
    return is_quiet


def take_log_options(options: dict[str, Any]) -> LogOptions:
    """Take those of `logger_options` out of the values of the options."""
    return LogOptions(
        options.pop("logger_stream_level"),
        options.pop("logger_file_level"),
        options.pop("logger_file_path"),
        options.pop("logger_file_max_size"),
        options.pop("logger_file_count"),
        options.pop("log_format"),
    )


def _check_max_size(_context: click.Context, _parameter: click.Parameter, value: float) -> float:
    if not (math.isfinite(value) and value >= 0):
        raise click.BadParameter(f"{value} is not a number of megabytes from 0 on")
    return value


def topic_option(purpose: str) -> Callable[[Command], Command]:
    """Return the option for the topic that a command is about."""
    return option("--topic_name", metavar="TOPIC", required=True, callback=check_topic, group=FILES, help=purpose)


def state_dir_option() -> Callable[[Command], Command]:
    """Return the option for where LOGS is."""
    return option(
        "--state_dir",
        metavar="DIR2",
        callback=_check_state_dir,
        shell_complete=complete_folders,
        group=FILES,
        help="Folder in which LOGS is, instead of DIR: for a DIR that is read-only or must stay as it is.",
    )


def _check_state_dir(_context: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
    """Return the folder. Raises BadParameter if it does not exist."""
    if value is not None and not os.path.isdir(value):
        raise click.BadParameter(f"{value} is not a folder; give one that exists")
    return value


def logger_options(log_file: str) -> Callable[[Command], Command]:
    """Return the options for logging; the log file is by default `log_file` in LOGS."""

    def add(command: Command) -> Command:
        level: dict[str, Any] = {
            "metavar": f"[{'|'.join(_LEVELS)}|N]",
            "default": "info",
            "callback": check_level,
            "show_default": True,
            "shell_complete": _complete_levels,
        }
        for decorate in (
            option(
                "--log_format",
                type=click.Choice([TEXT, JSON]),
                default=TEXT,
                show_default=True,
                group=LOG,
                help="Form of the lines of console and log file: for people, or a JSON object each.",
            ),
            option(
                "--logger_file_count",
                metavar="N",
                group=LOG,
                type=click.IntRange(1, _MAX_LOG_FILES),
                default=5,
                show_default=True,
                help="Number of log files that are kept: the one that is written, and the latest that were full.",
            ),
            option(
                "--logger_file_max_size",
                metavar="MB",
                type=float,
                default=10,
                callback=_check_max_size,
                show_default=True,
                group=LOG,
                help="Size at which the log file is renamed, and another one begun; 0 for never.",
            ),
            option(
                "--logger_file_path",
                metavar="FILE",
                shell_complete=complete_files,
                group=LOG,
                help=f"Log file.  [default: DIR/LOGS/{log_file}]",
            ),
            option("--logger_file_level", group=LOG, help="Least level of what is logged in the file.", **level),
            option("--logger_stream_level", group=LOG, help="Least level of what is shown here.", **level),
        ):
            command = decorate(command)
        return command

    return add
