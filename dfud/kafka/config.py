"""The user's configuration file."""

from __future__ import annotations

import configparser
import os
import re
from collections.abc import Mapping
from typing import NamedTuple

from dfud.errors import UsageError

_VARIABLE = re.compile(r"\$(?:(\w+)|\{(\w+)\})")
_SERIALIZERS = ("key.serializer", "value.serializer")


class ClientConfig(NamedTuple):
    """What the file says for one kind of client."""

    path: str  # of the file, to name it in messages
    properties: dict[str, str]  # of librdkafka, as the user wrote them


def read_config(path: str, client: str, environment: Mapping[str, str] = os.environ) -> ClientConfig:
    """Read the sections ``[broker]`` and `client` ("producer" or "consumer"), the latter before the former.

    A value that is ``$NAME`` or ``${NAME}`` as a whole is taken from `environment`. Other sections are left
    alone. Raises UsageError, which names the file and what is wrong in it.
    """
    parser = configparser.ConfigParser()
    try:
        with open(path, encoding="utf-8") as file:
            parser.read_file(file)
    except OSError as problem:
        raise UsageError(f"the config file {path} can't be read: {problem.strerror}") from None
    except (configparser.Error, UnicodeDecodeError) as problem:
        why = " ".join(str(problem).split())
        raise UsageError(f"the config file {path} is not a valid INI file: {why}") from None
    properties: dict[str, str] = {}
    for section in ("broker", client):
        if not parser.has_section(section):
            raise UsageError(f"the config file {path} has no section [{section}]; add one")
        try:
            items = parser.items(section)
        except configparser.InterpolationError:
            raise UsageError(
                f"the config file {path} has a single % in a value of [{section}]; write %% for it"
            ) from None
        for name, value in items:
            properties[name] = _expand(value, f"{name} in [{section}] of {path}", environment)
    if not (properties.get("bootstrap.servers") or properties.get("metadata.broker.list")):
        raise UsageError(f"the config file {path} does not set bootstrap.servers in [broker]; add it")
    return ClientConfig(path, properties)


def take_wire_format(config: ClientConfig) -> ClientConfig:
    """Return `config` without the two keys that choose the wire format; UsageError unless they ask for ours."""
    asked = {key: config.properties[key] for key in _SERIALIZERS if config.properties.get(key)}
    if asked:
        wanted = ", ".join(f"{key} = {value}" for key, value in asked.items())
        raise UsageError(
            f"{wanted} in {config.path} is not a wire format that this version of dfud can send; "
            "remove the serializers for dfud's own messages"
        )
    rest = {key: value for key, value in config.properties.items() if key not in _SERIALIZERS}
    return config._replace(properties=rest)


def _expand(value: str, where: str, environment: Mapping[str, str]) -> str:
    match = _VARIABLE.fullmatch(value)
    if match is None:
        return value
    name = match[1] or match[2]
    if name not in environment:
        raise UsageError(f"{where} is taken from the environment variable {name}, which is not set; set it")
    return environment[name]
