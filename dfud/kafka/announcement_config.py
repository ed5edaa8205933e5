"""The sections ``[heartbeat]`` and ``[log]`` of the configuration file, as OpenMSIStream understands them."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from typing import Any, NamedTuple

from dfud.errors import UsageError
from dfud.kafka.config import check_client, merge_sections, open_config
from dfud.kafka.config_file import ConfigFile
from dfud.kafka.properties import CLIENT_DEFAULTS
from dfud.kafka.user_settings import UserSettings
from dfud.messages import AnnouncementKind

_SEPARATE = "prefer.separate.producer"
_LEVEL = "log.level"
_MAX_LINES = "max.logs.per.message"
_SERIALIZERS = ("key.serializer", "value.serializer")  # key and value are text, whatever these say
_NOT_OF_LIBRDKAFKA = (_SEPARATE, _LEVEL, _MAX_LINES, *_SERIALIZERS)
# Of an idempotent producer some errors are fatal; one message at a time is in order without it.
_UNUSED = ("delivery.report.only.error", "enable.gapless.guarantee", "enable.idempotence")
_TRUTHS = {"1": True, "yes": True, "true": True, "on": True, "0": False, "no": False, "false": False, "off": False}
_DEFAULT_MAX_LINES = 65_536  # of OpenMSIStream


class AnnouncementConfig(NamedTuple):
    """How the producer of heartbeats, or that of log messages, is configured."""

    properties: dict[str, Any]  # of librdkafka
    level: int | None = None  # of `logging`, of the lines that are sent; None for those of console and log file
    max_lines: int = _DEFAULT_MAX_LINES  # that wait to be sent
    warnings: tuple[str, ...] = ()


def read_announcement_config(
    path: str, kind: AnnouncementKind, environment: Mapping[str, str] = os.environ
) -> AnnouncementConfig:
    """Return the configuration of one kind of announcement, which is also the name of its section.

    Raises UsageError for all that cannot be meant.

    The producer has the settings of ``[broker]`` and ``[producer]``. With ``prefer.separate.producer`` it has
    those of ``[broker]`` and of its own section; and of that alone if it sets ``bootstrap.servers``.
    """
    file = open_config(path, environment)
    own = file.items(kind)
    is_separate = _truth(own.get(_SEPARATE, "false"), file.place(kind, _SEPARATE))
    sections: tuple[str, ...] = ("broker", "producer")
    if is_separate:
        sections = (kind,) if "bootstrap.servers" in own else ("broker", kind)
    properties, warnings = merge_sections(file, sections, environment, left_out=_NOT_OF_LIBRDKAFKA)
    warnings.extend(check_client(UserSettings(properties, "producer"), file))
    unused = [name for name in own if name not in (*_NOT_OF_LIBRDKAFKA, "node_id")]
    if unused and not is_separate:
        warnings.append(f"{file.place(kind, unused[0])} has no effect without {_SEPARATE} = true in [{kind}]")
    properties = {name: value for name, value in properties.items() if name not in _UNUSED}
    return AnnouncementConfig(
        {**CLIENT_DEFAULTS, **properties}, _level(own, file), _max_lines(own, file), tuple(dict.fromkeys(warnings))
    )


def _truth(value: str, place: str) -> bool:
    truth = _TRUTHS.get(value.strip().lower())
    if truth is None:
        raise UsageError(f"{place} is neither true nor false; set it to one of them, or remove it")
    return truth


def _level(own: Mapping[str, str], file: ConfigFile) -> int | None:
    if _LEVEL not in own:
        return None
    value = own[_LEVEL].strip().upper()
    level = int(value) if value.isdecimal() else logging.getLevelName(value)
    if not isinstance(level, int):
        raise UsageError(f"{file.place('log', _LEVEL)} is not a level: debug, info, warning, error or critical")
    return level


def _max_lines(own: Mapping[str, str], file: ConfigFile) -> int:
    value = own.get(_MAX_LINES, str(_DEFAULT_MAX_LINES)).strip()
    if not (value.isdecimal() and value.isascii() and int(value) > 0):
        raise UsageError(f"{file.place('log', _MAX_LINES)} is not a number of lines from 1 on")
    return int(value)
