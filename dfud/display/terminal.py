"""What the terminal can do that a descriptor leads to."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import NamedTuple

_DUMB = ("", "dumb", "unknown")  # as TERM


class Size(NamedTuple):
    """How large a terminal is, in character cells."""

    columns: int
    rows: int


class Look(NamedTuple):
    """How things may be shown."""

    has_colour: bool
    has_unicode: bool


def live_look(descriptor: int, environment: Mapping[str, str]) -> Look | None:
    """Return how things may be shown at `descriptor`; None if it is no terminal that can redraw lines."""
    if not os.isatty(descriptor) or environment.get("TERM", "") in _DUMB:
        return None
    # Not the encoding of Python, which takes the locale C for UTF-8.
    names = (environment.get(name, "") for name in ("LC_ALL", "LC_CTYPE", "LANG"))
    locale = next(filter(None, names), "").lower().replace("-", "")
    return Look(not environment.get("NO_COLOR"), "utf8" in locale)


def terminal_size(descriptor: int) -> Size:
    """Return the size; 80 x 24 if the terminal does not say."""
    try:
        columns, rows = os.get_terminal_size(descriptor)
    except OSError:
        columns = rows = 0
    return Size(columns or 80, rows or 24)


def is_foreground(descriptor: int) -> bool:
    """Return whether this is our own terminal, and no other job of the shell has it now."""
    try:
        return os.tcgetpgrp(descriptor) == os.getpgrp()
    except OSError:
        return False
