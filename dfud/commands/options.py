"""What the commands' options have in common."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, TypeVar

import click

_TOPIC = re.compile(r"[A-Za-z0-9._-]{1,249}")  # Kafka's own rule

Command = TypeVar("Command", bound=Callable[..., Any])


def option(name: str, *arguments: Any, **settings: Any) -> Callable[[Command], Command]:
    """Return a click option that is also accepted in its dashed spelling."""
    spellings = dict.fromkeys([name, "--" + name[2:].replace("_", "-")])
    return click.option(*spellings, *arguments, **settings)


def check_topic(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    """Return the name of a topic, or none where none is given; BadParameter for one that Kafka forbids."""
    if value is not None and (not _TOPIC.fullmatch(value) or value in (".", "..")):
        raise click.BadParameter(f"{value!r} is not a name that Kafka allows: letters, digits, '.', '_' and '-'")
    return value
