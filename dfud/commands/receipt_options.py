"""Options of the commands that read receipts."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

import click

from dfud.commands.command import RECEIPTS
from dfud.commands.options import Command, check_topic, option
from dfud.errors import UsageError
from dfud.receipts.required import Required, parse_receivers

_DURATION = re.compile(r"(\d+(?:\.\d+)?)([smhdw])")
_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_MAX_S = 1e10


def receipts_option(purpose: str, required: bool = True) -> Callable[[Command], Command]:
    """Return the option for the topic with the receipts."""
    return option(
        "--receipts", metavar="TOPIC", required=required, callback=check_topic, group=RECEIPTS, help=purpose
    )


def receivers_option(purpose: str, required: bool = True) -> Callable[[Command], Command]:
    """Return the option for the receivers, whose value is a `Required`: an empty one if it is not given."""
    return option(
        "--receivers",
        metavar="NAME|N",
        required=required,
        multiple=True,
        callback=_check_receivers,
        group=RECEIPTS,
        help=f"{purpose}; repeat it for each of them. A number N means any N different ones.",
    )


def check_receipts_given(options: dict[str, Any], user: str, reason: str) -> None:
    """Raise UsageError unless there are both receipts and receivers, which the option `user` needs."""
    if len(_given(options)) < 2:
        raise UsageError(f"{user} needs --receipts TOPIC and --receivers NAME: {reason}")


def check_receipts_unused(options: dict[str, Any]) -> None:
    """Raise UsageError if there are receipts or receivers, of which nothing makes use."""
    for name in _given(options):
        raise UsageError(f"{name} has no effect without --release or --guard; add one, or remove it")


def _given(options: dict[str, Any]) -> list[str]:
    are_given = {"--receipts": options["receipts"] is not None, "--receivers": options["receivers"] != Required()}
    return [name for name, is_given in are_given.items() if is_given]


class Duration(float):
    """A number of seconds that is shown as users write it."""

    def __str__(self) -> str:
        return f"{float(self):g}s"


def duration_option(
    name: str, purpose: str, group: str, default: str | None = None
) -> Callable[[Command], Command]:
    """Return an option whose value is a `Duration`."""
    return option(
        name,
        metavar="DURATION",
        default=default,
        show_default=True,
        callback=_check_duration,
        group=group,
        help=purpose,
    )


def percent_option(name: str, purpose: str, group: str) -> Callable[[Command], Command]:
    """Return an option whose value is a share of a file system."""
    kind = click.FloatRange(0, 100, min_open=True, max_open=True)
    return option(name, metavar="PERCENT", type=kind, group=group, help=purpose)


def _check_receivers(_context: click.Context, _parameter: click.Parameter, value: tuple[str, ...]) -> Required:
    """Return which receivers must have a file. Raises BadParameter."""
    try:
        return parse_receivers(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def _check_duration(_context: click.Context, _parameter: click.Parameter, value: str | None) -> Duration | None:
    """Return the duration. Raises BadParameter."""
    if value is None:
        return None
    match = _DURATION.fullmatch(value.strip().lower())
    seconds = float(match[1]) * _SECONDS[match[2]] if match else math.inf
    if seconds > _MAX_S:
        raise click.BadParameter(f"{value!r} is not a duration such as 90s, 30m, 12h, 7d or 2w")
    return Duration(seconds)
