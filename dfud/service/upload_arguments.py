"""The arguments of an upload, checked by the upload's own command, and as a service needs them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Any

import click
from click.core import ParameterSource

from dfud.core.text import escaped
from dfud.errors import UsageError
from dfud.receipts.required import Required
from dfud.service.instance import Instance

# How the names of options end whose values are paths, and of those that are written besides LOGS.
_PATHS = ("_dir", "_file", "_path", "_to")
_WRITTEN = ("_file", "_path", "_to")
_FIXED = ("directory", "config", "topic_name")  # which have variables of their own


def parse_instance(name: str, upload: click.Command, arguments: Sequence[str]) -> Instance:
    """Return the instance `name` for the arguments of the command `upload`.

    Raises click.UsageError for what an upload does not accept, and UsageError for what a service cannot do.
    """
    context = upload.make_context("dfud upload", list(arguments))
    values = context.params
    if values.get("once"):
        raise UsageError("--once is for cron: a service runs until it is stopped")
    directory, config = os.path.abspath(values["directory"]), os.path.abspath(values["config"])
    if not os.path.isdir(directory):
        raise UsageError(f"{escaped(directory)} is not a directory; give the directory to be uploaded")
    if not os.path.isfile(config):
        raise UsageError(f"{escaped(config)} is not a file; give the configuration file")
    written = [values["state_dir"] or directory]
    if values.get("release"):
        written.append(directory)
    written += [value for option, value in values.items() if value and option.endswith(_WRITTEN)]
    options = tuple(_options(upload, context))
    return Instance(name, directory, config, values["topic_name"], options, tuple(map(os.path.abspath, written)))


def _options(upload: click.Command, context: click.Context) -> Iterator[str]:
    """Yield the other options that were given, each as one word."""
    for parameter in upload.params:
        name = parameter.name or ""
        if name in _FIXED or context.get_parameter_source(name) is not ParameterSource.COMMANDLINE:
            continue
        value: Any = context.params[name]
        if isinstance(value, Required):
            value = value.words
        for one in value if isinstance(value, (list, tuple)) else [value]:
            if isinstance(one, bool):
                yield parameter.opts[0]
            else:
                yield f"{parameter.opts[0]}={os.path.abspath(one) if name.endswith(_PATHS) else one}"
