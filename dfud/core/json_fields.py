"""JSON that strangers may have written: read within bounds, and its fields checked one by one."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from functools import lru_cache
from json.encoder import encode_basestring
from typing import Any

from dfud.core.names import path_fault

TOPIC = re.compile(r"[A-Za-z0-9._-]{1,249}")  # Kafka's own rule
XXH3_128, SHA256 = re.compile(r"[0-9a-f]{32}"), re.compile(r"[0-9a-f]{64}")
_MAX_NUMBER = 1 << 63
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00", re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def json_text(text: str) -> bytes:
    r"""Return a text as JSON in UTF-8: in one way only, so that equal texts have the same bytes.

    Escaped is only what must be, as by RFC 8785. Bytes of a path that are not UTF-8 are surrogates in the text
    (`decoded_path`), and become escapes like \udcff.
    """
    return encode_basestring(text).encode("utf-8", "backslashreplace")


def load_json(text: bytes) -> Any:
    """Return what JSON in UTF-8 says; ValueError if it is none."""
    try:
        return _DECODER.decode(text.decode("utf-8"))
    except (ValueError, RecursionError):
        raise ValueError("it is not JSON in UTF-8") from None


def _integer(text: str) -> int:
    if len(text) > 20:  # 64 bits have 19 digits; some versions of Python take seconds for a million
        raise ValueError
    return int(text)


def _constant(_: str) -> None:
    raise ValueError  # NaN and the infinities are no JSON


_DECODER = json.JSONDecoder(parse_int=_integer, parse_constant=_constant)


def time_text(time_ns: int) -> str:
    """Return a time, in ns since 1970-01-01 UTC, as ISO 8601 with microseconds.

    >>> time_text(1_772_362_800_123_456_789)
    '2026-03-01T11:00:00.123456+00:00'
    """
    second, microseconds = divmod(time_ns // 1000, 1_000_000)
    return f"{_second_text(second)}.{microseconds:06d}+00:00"


@lru_cache(16)
def _second_text(second: int) -> str:
    return (_EPOCH + timedelta(seconds=second)).replace(tzinfo=None).isoformat()


def decoded_path(path: bytes) -> str:
    """Return a path as text; what is not UTF-8 becomes surrogates, in any locale."""
    return path.decode("utf-8", "surrogateescape")


def is_encodable(text: str) -> bool:
    """Return whether the text can be that of a path: no half of a surrogate pair but those of stray bytes."""
    try:
        text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return False
    return True


def take_path(value: object, what: str = "path") -> bytes:
    """Return the path of a file that a field holds; ValueError if no file of ours can have it."""
    if not isinstance(value, str) or not is_encodable(value):
        raise ValueError(f"its {what} is not one")
    path = value.encode("utf-8", "surrogateescape")
    fault = path_fault(path)
    if fault:
        raise ValueError(f"its {what} is not allowed: {fault}")
    return path


def take_text(fields: Mapping[str, Any], name: str, pattern: re.Pattern[str]) -> str:
    """Return a text that matches; ValueError."""
    value = fields.get(name)
    if not isinstance(value, str) or pattern.fullmatch(value) is None:
        raise ValueError(f"its {name} is missing, or cannot be one")
    return value


def take_number(fields: Mapping[str, Any], name: str, least: int) -> int:
    """Return a number of 64 bits that is at least `least`; ValueError."""
    value = fields.get(name)
    if type(value) is not int or not least <= value < _MAX_NUMBER:
        raise ValueError(f"its {name} is missing, or cannot be one")
    return value


def take_mtime(fields: Mapping[str, Any]) -> int:
    """Return a modification time in ns since 1970, which may be negative; ValueError."""
    return take_number(fields, "mtime_ns", -_MAX_NUMBER)


def take_time(fields: Mapping[str, Any]) -> str:
    """Return a time as `time_text` writes it; ValueError."""
    value = take_text(fields, "time", _TIME)
    try:
        datetime.fromisoformat(value)
    except ValueError:
        raise ValueError("its time is none") from None
    return value
