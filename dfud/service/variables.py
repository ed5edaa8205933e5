"""What a configuration file takes from the environment, and which of it a service would not have."""

from __future__ import annotations

import re
from collections.abc import Iterable

from dfud.errors import UsageError
from dfud.kafka.config import variables_of

_ASSIGNMENT = re.compile(r"[ \t]*(\w+)[ \t]*=", re.ASCII)


def missing_variables(config: str, files: Iterable[str]) -> list[str]:
    """Return what `config` takes from the environment, and none of the environment files `files` sets.

    A configuration file that cannot be understood is for the upload to refuse: it names nothing.
    """
    try:
        wanted = variables_of(config, {})
    except UsageError:
        return []
    present = {name for path in files for name in _names(path)}
    return [name for name in wanted if name not in present]


def _names(path: str) -> list[str]:
    """Return the variables that an environment file sets, or none if it is not there or cannot be read."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return [match[1] for match in map(_ASSIGNMENT.match, file) if match is not None]
    except OSError:
        return []
