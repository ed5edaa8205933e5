"""The value of a heartbeat: OpenMSIStream's fields, and in an object of their own what dfud says of the upload.

OpenMSIStream's programs send no such object, and ignore it. Whoever may write to the topic may have written any of
it, so it is checked when it is read.
"""

from __future__ import annotations

import json
import os
from typing import Annotated, NamedTuple, Optional

import msgspec
from msgspec import Meta

from dfud.logs.upload_status import Count, Time, UploadStatus

MAX_BYTES = 1 << 17  # of a heartbeat: the longest path that can be, escaped, in each of its texts
_DETAILS = "dfud"
_MAX_CAUSES = 2  # of failures
_MAX_FINDINGS = 3  # about the topic
_MAX_STALLS = 3  # workers
_MAX_RECEIVERS, _MAX_NAME = 8, 500  # of receivers, and characters of the name of one


class UploadDetails(UploadStatus, frozen=True, kw_only=True):
    """What dfud says of an upload in a heartbeat: its status, and what who is elsewhere needs besides."""

    interval_s: Annotated[float, Meta(gt=0, le=1e9)]
    directory_free_bytes: Optional[Count] = None


class Counts(NamedTuple):
    """What was sent since the last heartbeat."""

    timestamp: str  # ISO 8601
    n_messages_produced: int
    n_bytes_produced: int


class _Value(msgspec.Struct, frozen=True):
    timestamp: Time
    n_messages_produced: Count = 0
    n_bytes_produced: Count = 0
    dfud: msgspec.Raw = msgspec.Raw()


_decode_value = msgspec.json.Decoder(_Value).decode
_decode_details = msgspec.json.Decoder(UploadDetails).decode


def encode(counts: Counts, status: UploadStatus, interval_s: float) -> bytes:
    """Return the value of the heartbeat of a run; the next one is to follow after `interval_s`.

    Of long lists only the beginning is in it, and nothing of librdkafka's statistics.
    """
    causes = status.failures.causes[:_MAX_CAUSES]
    receivers = [each for each in status.receivers if len(each.receiver) <= _MAX_NAME]
    details = UploadDetails(
        **{
            **msgspec.structs.asdict(status),
            "failures": msgspec.structs.replace(status.failures, causes=causes),
            "stalls": status.stalls[:_MAX_STALLS],
            "topic_findings": status.topic_findings[:_MAX_FINDINGS],
            "receivers": tuple(receivers[:_MAX_RECEIVERS]),
            "kafka": None,
            "interval_s": interval_s,
        }
    )
    return json.dumps({**counts._asdict(), _DETAILS: msgspec.to_builtins(details)}).encode()


def with_free_bytes(directory: str, value: bytes) -> bytes:
    """Return a heartbeat that also says how much an ordinary user can still write into `directory`.

    This waits for its file system, which may be that of a server that does not answer.
    """
    try:
        room = os.statvfs(directory)
    except OSError:
        return value
    fields = json.loads(value)
    fields[_DETAILS]["directory_free_bytes"] = room.f_bavail * room.f_frsize
    return json.dumps(fields).encode()


def decode(value: bytes) -> tuple[Counts, bytes]:
    """Return the counts of a heartbeat, and its details as they were sent: b"" if it has none.

    Raises ValueError for what is no heartbeat.
    """
    if len(value) > MAX_BYTES:
        raise ValueError(f"it has more than {MAX_BYTES:,} bytes")
    try:
        fields = _decode_value(value)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(str(error)) from None
    return Counts(fields.timestamp, fields.n_messages_produced, fields.n_bytes_produced), bytes(fields.dfud)


def decode_details(details: bytes) -> UploadDetails:
    """Return what dfud says of the upload; ValueError for what is damaged, hostile, or of a later format."""
    try:
        return _decode_details(details)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(str(error)) from None
