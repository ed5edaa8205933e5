"""Receipts: messages that say that a receiver has a version of a file, complete, in its place, and synced.

The key is a JSON array of topic, receiver and path, so that a compacted topic keeps the last receipt of each; the
value is a JSON object. docs/receipts.md describes both for other programs. Whoever may write to the topic may have
written any of it: what is decoded is a claim, and nothing about it is trusted but its form.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from functools import lru_cache
from json.encoder import encode_basestring
from typing import Any, NamedTuple

from dfud.core.names import path_fault
from dfud.core.version import FileVersion

FORMAT = 1
MAX_RECEIVER_CHARS = 4_500  # the name of a host and a path of PATH_MAX bytes are a name
_MAX_BYTES = 1 << 20  # of a key or a value; no path is longer than 65,535 bytes, or six times that in escapes
_MAX_NUMBER = 1 << 63
_TOPIC = re.compile(r"[A-Za-z0-9._-]{1,249}")  # Kafka's own rule
_TOPIC_ID = re.compile(r"[A-Za-z0-9+/=_-]{0,64}")  # as librdkafka or Java writes it
_XXH3_128, _SHA256 = re.compile(r"[0-9a-f]{32}"), re.compile(r"[0-9a-f]{64}")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00", re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


class ReceiptKey(NamedTuple):
    """What a receipt is about: the newest one of a key replaces the others."""

    topic: str  # that the file was read from
    receiver: str  # the name of a download, or of any other program
    path: bytes  # of the file, relative, "/"-separated

    def encode(self) -> bytes:
        """Return the key of the message."""
        return b"[%s,%s,%s]" % (_json(self.topic), _json(self.receiver), _json(_decoded(self.path)))

    @classmethod
    def decode(cls, key: bytes | None) -> ReceiptKey:
        """Read the key of a message; ValueError if it is not that of a receipt."""
        fields = _loaded(key)
        if not isinstance(fields, list) or len(fields) != 3:
            raise ValueError("its key is not a JSON array of topic, receiver and path")
        topic, receiver, path = fields
        return cls(_topic(topic), _receiver(receiver), _path(path))


class Receipt(NamedTuple):
    """A receiver has a version of a file: complete, in its place, and synced."""

    topic: str  # that the file was read from
    topic_id: str  # of Kafka, new whenever a topic is made anew; "" if unknown
    receiver: str
    path: bytes  # relative, "/"-separated
    size: int  # bytes
    mtime_ns: int  # ns since 1970-01-01 UTC, may be negative
    xxh3_128: str  # of the file's bytes, 32 hex digits
    time: str  # when it was in its place: ISO 8601, UTC, with microseconds, as `time_text` returns it
    sha256: str = ""  # of the file's bytes, 64 hex digits; "" if it was not computed

    @property
    def key(self) -> ReceiptKey:
        """What the receipt is about."""
        return ReceiptKey(self.topic, self.receiver, self.path)

    @property
    def version(self) -> FileVersion:
        """The version of the file that the receiver has."""
        return FileVersion(self.path, self.size, self.mtime_ns)

    def encode(self) -> bytes:
        """Return the value of the message."""
        return self.message()[1]

    def message(self) -> tuple[bytes, bytes]:
        """Return the key and the value of the message."""
        path = _json(_decoded(self.path))
        key_start, value_start = _starts(self.topic, self.topic_id, self.receiver)
        sha256 = f',"sha256":"{self.sha256}"' if self.sha256 else ""
        rest = (
            f',"upload_id":"{self.version.upload_id().decode()}","size":{self.size},"mtime_ns":{self.mtime_ns},'
            f'"xxh3_128":"{self.xxh3_128}"{sha256},"time":"{self.time}"}}'
        )
        return b"%s%s]" % (key_start, path), b"%s%s%s" % (value_start, path, rest.encode())

    @classmethod
    def decode(cls, key: bytes | None, value: bytes | None) -> Receipt:
        """Read a message; ValueError, which says why, if it is not a receipt.

        Fields that are not known are ignored. A message without a value takes a receipt back: the caller handles
        that before.
        """
        about = ReceiptKey.decode(key)
        fields = _loaded(value)
        if not isinstance(fields, dict):
            raise ValueError("its value is not a JSON object")
        number = fields.get("receipt")
        if type(number) is not int:
            raise ValueError("it does not say which format of receipts it has")
        if number != FORMAT:
            raise ValueError(f"it has format {number} of receipts, and this dfud knows format {FORMAT}")
        if (fields.get("topic"), fields.get("receiver"), fields.get("path")) != (
            about.topic,
            about.receiver,
            _decoded(about.path),
        ):
            raise ValueError("its value is about something else than its key")
        receipt = cls(
            about.topic,
            _text(fields, "topic_id", _TOPIC_ID),
            about.receiver,
            about.path,
            _number(fields, "size", 0),
            _number(fields, "mtime_ns", -_MAX_NUMBER),
            _text(fields, "xxh3_128", _XXH3_128),
            _time(fields),
            _text(fields, "sha256", _SHA256) if "sha256" in fields else "",
        )
        if fields.get("upload_id") != receipt.version.upload_id().decode():
            raise ValueError("its upload_id does not match its path, size and mtime_ns")
        return receipt


def time_text(time_ns: int) -> str:
    """Return a time, in ns since 1970-01-01 UTC, as a receipt has it.

    >>> time_text(1_772_362_800_123_456_789)
    '2026-03-01T11:00:00.123456+00:00'
    """
    second, microseconds = divmod(time_ns // 1000, 1_000_000)
    return f"{_second_text(second)}.{microseconds:06d}+00:00"


@lru_cache(16)
def _second_text(second: int) -> str:
    return (_EPOCH + timedelta(seconds=second)).replace(tzinfo=None).isoformat()


def receiver_fault(name: object) -> str:
    """Return why `name` cannot be that of a receiver, or "" if it can."""
    if not isinstance(name, str) or not name:
        return "it is empty"
    if len(name) > MAX_RECEIVER_CHARS:
        return f"it is longer than {MAX_RECEIVER_CHARS:,} characters"
    if not _is_encodable(name):
        return "it has half of a surrogate pair"
    return ""


def _json(text: str) -> bytes:
    r"""Return a text as JSON in UTF-8: in one way only, because messages of one key must have the same bytes.

    Escaped is only what must be, as by RFC 8785. Bytes of a path that are not UTF-8 are surrogates in the text
    (`os.fsdecode`), and become escapes like \udcff.
    """
    return encode_basestring(text).encode("utf-8", "backslashreplace")


@lru_cache(16)
def _starts(topic: str, topic_id: str, receiver: str) -> tuple[bytes, bytes]:
    """Return what comes before the path in key and value: the same for many thousand receipts."""
    topic_json, receiver_json = _json(topic), _json(receiver)
    return b"[%s,%s," % (
        topic_json,
        receiver_json,
    ), b'{"receipt":%d,"topic":%s,"topic_id":%s,"receiver":%s,"path":' % (
        FORMAT,
        topic_json,
        _json(topic_id),
        receiver_json,
    )


def _decoded(path: bytes) -> str:
    """Return a path as text; what is not UTF-8 becomes surrogates, in any locale."""
    return path.decode("utf-8", "surrogateescape")


def _loaded(text: bytes | None) -> Any:
    if text is None or len(text) > _MAX_BYTES:
        raise ValueError("it is not a receipt: it has no key, no value, or more than 1 MiB")
    try:
        return _DECODER.decode(text.decode("utf-8"))
    except (ValueError, RecursionError):
        raise ValueError("it is not JSON in UTF-8") from None


def _integer(text: str) -> int:
    if len(text) > 20:  # 64 bits have 19 digits; some versions of Python take seconds for a million
        raise ValueError
    return int(text)


_DECODER = json.JSONDecoder(parse_int=_integer)


def _is_encodable(text: str) -> bool:
    try:
        text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return False
    return True


def _topic(value: object) -> str:
    if not isinstance(value, str) or _TOPIC.fullmatch(value) is None:
        raise ValueError("its topic is not the name of one")
    return value


def _receiver(value: object) -> str:
    fault = receiver_fault(value)
    if fault:
        raise ValueError(f"its receiver has no good name: {fault}")
    return str(value)


def _path(value: object) -> bytes:
    if not isinstance(value, str) or not _is_encodable(value):
        raise ValueError("its path is not one")
    path = value.encode("utf-8", "surrogateescape")
    fault = path_fault(path)
    if fault:
        raise ValueError(f"its path is not allowed: {fault}")
    return path


def _text(fields: Mapping[str, Any], name: str, pattern: re.Pattern[str]) -> str:
    value = fields.get(name)
    if not isinstance(value, str) or pattern.fullmatch(value) is None:
        raise ValueError(f"its {name} is missing, or cannot be one")
    return value


def _number(fields: Mapping[str, Any], name: str, least: int) -> int:
    value = fields.get(name)
    if type(value) is not int or not least <= value < _MAX_NUMBER:
        raise ValueError(f"its {name} is missing, or cannot be one")
    return value


def _time(fields: Mapping[str, Any]) -> str:
    value = _text(fields, "time", _TIME)
    try:
        datetime.fromisoformat(value)
    except ValueError:
        raise ValueError("its time is none") from None
    return value
