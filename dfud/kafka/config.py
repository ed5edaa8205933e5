"""The user's configuration file."""

from __future__ import annotations

import configparser
import os
import re
from collections.abc import Mapping
from typing import Literal, NamedTuple

from dfud.errors import UsageError

_VARIABLE = re.compile(r"\$(?:(\w+)|\{(\w+)\})")
_ENCRYPTION_SECTION = "kafkacrypto"  # of OpenMSIStream's config files
_NOT_PROPERTIES = ("node_id",)  # OpenMSIStream leaves it out, too
_SERIALIZERS = {"key.serializer": "StringSerializer", "value.serializer": "DataFileChunkSerializer"}

WireName = Literal["native", "openmsistream"]


class ClientConfig(NamedTuple):
    """The configuration of one kind of client."""

    path: str  # of the file, to name it in messages
    properties: dict[str, str]  # of librdkafka, as the user wrote them
    wire: WireName = "native"  # format of the messages to send


def read_config(path: str, client: str, environment: Mapping[str, str] = os.environ) -> ClientConfig:
    """Read the sections ``[broker]`` and `client` ("producer" or "consumer"); the latter takes precedence.

    A value that consists of ``$NAME`` or ``${NAME}`` is taken from `environment`. In a longer value that begins
    with a $, every variable that is set is replaced, as OpenMSIStream does. Other sections are ignored, except
    that a request for encryption is refused. Raises UsageError, which names the file and the fault.
    """
    parser = configparser.ConfigParser()
    try:
        with open(path, encoding="utf-8-sig") as file:  # Windows editors write a byte order mark
            parser.read_file(file)
    except OSError as error:
        raise UsageError(f"cannot read the config file {path}: {error.strerror}") from None
    except (configparser.Error, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise UsageError(f"the config file {path} is not a valid INI file: {reason}") from None
    if parser.has_section(_ENCRYPTION_SECTION):
        raise UsageError(
            f"the config file {path} has a section [{_ENCRYPTION_SECTION}], but dfud cannot encrypt messages; "
            "remove it to send them unencrypted"
        )
    properties: dict[str, str] = {}
    for section in ("broker", client):
        if not parser.has_section(section):
            raise UsageError(f"the config file {path} has no section [{section}]; add one")
        try:
            items = parser.items(section)
        except configparser.InterpolationError:
            raise UsageError(
                f"the config file {path} has a single % in a value of [{section}]; write %% instead"
            ) from None
        for name, value in items:
            if name not in _NOT_PROPERTIES:
                properties[name] = _expand(value, f"{name} in [{section}] of {path}", environment)
    if not (properties.get("bootstrap.servers") or properties.get("metadata.broker.list")):
        raise UsageError(f"the config file {path} does not set bootstrap.servers in [broker]; add it")
    return ClientConfig(path, properties)


def take_wire_format(config: ClientConfig) -> ClientConfig:
    """Return `config` with its wire format set, and without the two keys that select it.

    Raises UsageError if they select none.
    """
    serializers = {key: config.properties[key] for key in _SERIALIZERS if config.properties.get(key)}
    if serializers and serializers != _SERIALIZERS:
        settings = ", ".join(f"{key} = {value}" for key, value in serializers.items())
        alone = " alone" if len(serializers) == 1 else ""
        raise UsageError(
            f"{settings}{alone} in {config.path} selects no wire format: set key.serializer = StringSerializer "
            "and value.serializer = DataFileChunkSerializer for OpenMSIStream's messages, or neither for "
            "dfud's own"
        )
    properties = {key: value for key, value in config.properties.items() if key not in _SERIALIZERS}
    return config._replace(properties=properties, wire="openmsistream" if serializers else "native")


def _expand(value: str, setting: str, environment: Mapping[str, str]) -> str:
    variable = _VARIABLE.fullmatch(value)
    if variable is not None and _name(variable) not in environment:
        raise UsageError(
            f"{setting} is taken from the environment variable {_name(variable)}, which is not set; set it"
        )
    if not value.startswith("$"):
        return value
    return _VARIABLE.sub(lambda match: environment.get(_name(match), match[0]), value)


def _name(match: re.Match[str]) -> str:
    return match[1] or match[2]
