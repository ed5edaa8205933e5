"""The user's configuration file."""

from __future__ import annotations

import configparser
import os
import re
from collections.abc import Mapping
from typing import Literal, NamedTuple

from dfud.errors import UsageError

_VARIABLE = re.compile(r"\$(?:(\w+)|\{(\w+)\})")
_ENCRYPTION = "kafkacrypto"  # a section of OpenMSIStream's config files
_NO_PROPERTIES = ("node_id",)  # which OpenMSIStream leaves out, too
_SERIALIZERS = {"key.serializer": "StringSerializer", "value.serializer": "DataFileChunkSerializer"}

WireName = Literal["native", "openmsistream"]


class ClientConfig(NamedTuple):
    """What the file says for one kind of client."""

    path: str  # of the file, to name it in messages
    properties: dict[str, str]  # of librdkafka, as the user wrote them
    wire: WireName = "native"  # the messages to be sent


def read_config(path: str, client: str, environment: Mapping[str, str] = os.environ) -> ClientConfig:
    """Read the sections ``[broker]`` and `client` ("producer" or "consumer"), the latter before the former.

    A value that is ``$NAME`` or ``${NAME}`` as a whole is taken from `environment`; in one that begins with a $,
    every name that is set is replaced, as OpenMSIStream does it. Other sections are left alone, but that which
    asks for encryption is refused. Raises UsageError, which names the file and what is wrong in it.
    """
    parser = configparser.ConfigParser()
    try:
        with open(path, encoding="utf-8-sig") as file:  # editors of Windows begin it with a mark
            parser.read_file(file)
    except OSError as problem:
        raise UsageError(f"the config file {path} can't be read: {problem.strerror}") from None
    except (configparser.Error, UnicodeDecodeError) as problem:
        why = " ".join(str(problem).split())
        raise UsageError(f"the config file {path} is not a valid INI file: {why}") from None
    if parser.has_section(_ENCRYPTION):
        raise UsageError(
            f"the config file {path} has a section [{_ENCRYPTION}], but dfud can't encrypt messages: "
            "remove it if they may go as they are"
        )
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
            if name not in _NO_PROPERTIES:
                properties[name] = _expand(value, f"{name} in [{section}] of {path}", environment)
    if not (properties.get("bootstrap.servers") or properties.get("metadata.broker.list")):
        raise UsageError(f"the config file {path} does not set bootstrap.servers in [broker]; add it")
    return ClientConfig(path, properties)


def take_wire_format(config: ClientConfig) -> ClientConfig:
    """Return `config` with the wire format, and without the two keys that choose it; UsageError for any other."""
    asked = {key: config.properties[key] for key in _SERIALIZERS if config.properties.get(key)}
    if asked and asked != _SERIALIZERS:
        wanted = ", ".join(f"{key} = {value}" for key, value in asked.items())
        alone = " alone" if len(asked) == 1 else ""
        raise UsageError(
            f"{wanted}{alone} in {config.path} is no wire format: set key.serializer = StringSerializer and "
            "value.serializer = DataFileChunkSerializer for OpenMSIStream's messages, or neither for dfud's own"
        )
    rest = {key: value for key, value in config.properties.items() if key not in _SERIALIZERS}
    return config._replace(properties=rest, wire="openmsistream" if asked else "native")


def _expand(value: str, where: str, environment: Mapping[str, str]) -> str:
    whole = _VARIABLE.fullmatch(value)
    if whole is not None and _name(whole) not in environment:
        raise UsageError(
            f"{where} is taken from the environment variable {_name(whole)}, which is not set; set it"
        )
    if not value.startswith("$"):
        return value
    return _VARIABLE.sub(lambda match: environment.get(_name(match), match[0]), value)


def _name(match: re.Match[str]) -> str:
    return match[1] or match[2]
