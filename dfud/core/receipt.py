"""Receipts: messages that say that a receiver has a version of a file, complete, in its place, and synced.

The key is a JSON array of topic, receiver and path, so that a compacted topic keeps the last receipt of each; the
value is a JSON object. docs/receipts.md describes both for other programs. Whoever may write to the topic may have
written any of it: what is decoded is a claim, and nothing about it is trusted but its form.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, NamedTuple

from dfud.core.json_fields import (
    SHA256,
    TOPIC,
    XXH3_128,
    decoded_path,
    is_encodable,
    json_text,
    load_json,
    take_mtime,
    take_number,
    take_path,
    take_text,
    take_time,
)
from dfud.core.version import FileVersion

FORMAT = 1
MAX_RECEIVER_CHARS = 4_500  # the name of a host and a path of PATH_MAX bytes are a name
_MAX_BYTES = 1 << 20  # of a key or a value; no path is longer than 65,535 bytes, or six times that in escapes
_TOPIC_ID = re.compile(r"[A-Za-z0-9+/=_-]{0,64}")  # as librdkafka or Java writes it


class ReceiptKey(NamedTuple):
    """What a receipt is about: the newest one of a key replaces the others."""

    topic: str  # that the file was read from
    receiver: str  # the name of a download, or of any other program
    path: bytes  # of the file, relative, "/"-separated

    def encode(self) -> bytes:
        """Return the key of the message."""
        return b"[%s,%s,%s]" % (
            json_text(self.topic),
            json_text(self.receiver),
            json_text(decoded_path(self.path)),
        )

    @classmethod
    def decode(cls, key: bytes | None) -> ReceiptKey:
        """Read the key of a message; ValueError if it is not that of a receipt."""
        fields = _loaded(key)
        if not isinstance(fields, list) or len(fields) != 3:
            raise ValueError("its key is not a JSON array of topic, receiver and path")
        topic, receiver, path = fields
        return cls(_topic(topic), _receiver(receiver), take_path(path))


class Receipt(NamedTuple):
    """A receiver has a version of a file: complete, in its place, and synced."""

    topic: str  # that the file was read from
    topic_id: str  # of Kafka, new whenever a topic is made anew; "" if unknown
    receiver: str
    path: bytes  # relative, "/"-separated
    size: int  # bytes
    mtime_ns: int  # ns since 1970-01-01 UTC, may be negative
    xxh3_128: str  # of the file's bytes, 32 hex digits
    time: str  # when it was in its place: ISO 8601, UTC, with microseconds, as `json_fields.time_text` returns it
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
        path = json_text(decoded_path(self.path))
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
            decoded_path(about.path),
        ):
            raise ValueError("its value is about something else than its key")
        receipt = cls(
            about.topic,
            take_text(fields, "topic_id", _TOPIC_ID),
            about.receiver,
            about.path,
            take_number(fields, "size", 0),
            take_mtime(fields),
            take_text(fields, "xxh3_128", XXH3_128),
            take_time(fields),
            take_text(fields, "sha256", SHA256) if "sha256" in fields else "",
        )
        if fields.get("upload_id") != receipt.version.upload_id().decode():
            raise ValueError("its upload_id does not match its path, size and mtime_ns")
        return receipt


def receiver_fault(name: object) -> str:
    """Return why `name` cannot be that of a receiver, or "" if it can."""
    if not isinstance(name, str) or not name:
        return "it is empty"
    if len(name) > MAX_RECEIVER_CHARS:
        return f"it is longer than {MAX_RECEIVER_CHARS:,} characters"
    if not is_encodable(name):
        return "it has half of a surrogate pair"
    return ""


@lru_cache(16)
def _starts(topic: str, topic_id: str, receiver: str) -> tuple[bytes, bytes]:
    """Return what comes before the path in key and value: the same for many thousand receipts."""
    topic_json, receiver_json = json_text(topic), json_text(receiver)
    return b"[%s,%s," % (
        topic_json,
        receiver_json,
    ), b'{"receipt":%d,"topic":%s,"topic_id":%s,"receiver":%s,"path":' % (
        FORMAT,
        topic_json,
        json_text(topic_id),
        receiver_json,
    )


def _loaded(text: bytes | None) -> Any:
    if text is None or len(text) > _MAX_BYTES:
        raise ValueError("it is not a receipt: it has no key, no value, or more than 1 MiB")
    return load_json(text)


def _topic(value: object) -> str:
    if not isinstance(value, str) or TOPIC.fullmatch(value) is None:
        raise ValueError("its topic is not the name of one")
    return value


def _receiver(value: object) -> str:
    fault = receiver_fault(value)
    if fault:
        raise ValueError(f"its receiver has no good name: {fault}")
    return str(value)
