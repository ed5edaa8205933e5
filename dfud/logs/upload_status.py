"""The status file of an upload: its format, and how it is read.

`upload_status.schema.json` is the JSON schema of these structs. Whoever may write into LOGS may have written the
file, so it is checked when it is read.
"""

from __future__ import annotations

from typing import Annotated, Literal, Optional

import msgspec
from msgspec import Meta

from dfud.logs.layout import LogsFolder

MAX_CAUSES = 20  # of failures that are listed
MAX_FINDINGS = 20  # about the topic
MAX_STALLS = 20  # workers that are listed
MAX_RECEIVERS = 64
MAX_STATUS_BYTES = 1 << 20

Text = Annotated[str, Meta(max_length=50_000)]  # a path with each byte escaped is shorter
Count = Annotated[int, Meta(ge=0, le=(1 << 63) - 1)]
Time = Annotated[str, Meta(description="ISO 8601 with the UTC offset", max_length=40)]

State = Literal["starting", "running", "finishing", "ended"]
BrokerState = Literal["unknown", "reachable", "slow", "unreachable"]
Polling = Literal["none", "part", "all"]


class _Part(msgspec.Struct, frozen=True):
    """Base of all that the file has; fields that a later version adds are ignored."""


class BrokerStatus(_Part, frozen=True):
    """What is known of the broker."""

    state: BrokerState = "unknown"
    cause: Text = ""
    since: Optional[Time] = None
    last_ack: Optional[Time] = None


class Completed(_Part, frozen=True):
    """What this run has completed."""

    files: Count = 0
    versions: Count = 0
    bytes: Count = 0


class Acknowledged(_Part, frozen=True):
    """What the broker has acknowledged to this run."""

    bytes: Count = 0
    chunks: Count = 0


class Rates(_Part, frozen=True):
    """What was completed and acknowledged per second."""

    versions: float = 0.0
    bytes: float = 0.0
    chunks: float = 0.0
    interval_s: float = 0.0


class Backlog(_Part, frozen=True):
    """What was detected and is not yet acknowledged."""

    files: Count = 0
    versions: Count = 0
    bytes: Count = 0
    chunks: Count = 0
    is_full: bool = False


class OldestFile(_Part, frozen=True):
    """The file of the backlog that was detected first."""

    path: Text
    since: Time
    age_s: float


class Cause(_Part, frozen=True):
    """Why some files are not delivered."""

    cause: Text
    is_final: bool
    files: Count
    example: Text


class Failures(_Part, frozen=True):
    """The files that are not delivered, other than those that only wait."""

    failed: Count = 0
    retrying: Count = 0
    held: Count = 0
    left: Count = 0
    causes: Annotated[tuple[Cause, ...], Meta(max_length=MAX_CAUSES)] = ()


class WatchStatus(_Part, frozen=True):
    """What the watcher has met with."""

    is_watching: bool = False
    polling: Polling = "none"
    rescans: Count = 0
    overflows: Count = 0
    unread_folders: Count = 0


class Restarts(_Part, frozen=True):
    """The workers that died and were replaced."""

    number: Count = 0
    last: Text = ""
    at: Optional[Time] = None


class TopicFinding(_Part, frozen=True):
    """Something that is wrong with the topic."""

    is_critical: bool
    text: Text


class Stall(_Part, frozen=True):
    """A worker that lives, and does nothing."""

    worker: Text
    cause: Text
    since: Time


class CanaryStatus(_Part, frozen=True):
    """The canary that was asked for."""

    interval_s: float
    sent: Count = 0
    returned: Count = 0
    at: Optional[Time] = None
    round_trip_s: Optional[float] = None
    cause: Text = ""
    is_stuck: bool = False


class ReceiverStatus(_Part, frozen=True):
    """How far a receiver is behind, if the upload guards what it sends."""

    receiver: Text
    files: Count = 0
    bytes: Count = 0
    left_s: Optional[float] = None
    lost: Count = 0


class KafkaStatus(_Part, frozen=True):
    """What librdkafka says of all Kafka producers together."""

    queued_messages: Count = 0
    queued_bytes: Count = 0
    connections: Count = 0
    messages: Count = 0
    requests: Count = 0
    retries: Count = 0
    request_timeouts: Count = 0
    send_errors: Count = 0
    sent_bytes: Count = 0
    received_bytes: Count = 0
    disconnections: Count = 0
    round_trips: Count = 0
    round_trip_s: float = 0.0
    round_trip_p99_s: Optional[float] = None
    throttled_s: float = 0.0


class Recording(_Part, frozen=True):
    """Whether LOGS can be written."""

    cause: Text = ""
    unrecorded_rows: Count = 0
    free_bytes: Optional[Count] = None


class UploadStatus(_Part, frozen=True, kw_only=True):
    """An upload, as it was when the file was written."""

    format: Literal[1] = 1
    version: Text
    topic: Text
    directory: Text
    host: Text
    pid: Count
    state: State
    once: bool
    exit_status: Optional[Count] = None
    started: Time
    written: Time
    broker: BrokerStatus = BrokerStatus()
    completed: Completed = Completed()
    acknowledged: Acknowledged = Acknowledged()
    rates: Rates = Rates()
    backlog: Backlog = Backlog()
    oldest: Optional[OldestFile] = None
    failures: Failures = Failures()
    watch: WatchStatus = WatchStatus()
    restarts: Restarts = Restarts()
    stalls: Annotated[tuple[Stall, ...], Meta(max_length=MAX_STALLS)] = ()
    canary: Optional[CanaryStatus] = None
    kafka: Optional[KafkaStatus] = None
    recording: Recording = Recording()
    topic_harm: Text = ""
    topic_findings: Annotated[tuple[TopicFinding, ...], Meta(max_length=MAX_FINDINGS)] = ()
    receivers: Annotated[tuple[ReceiverStatus, ...], Meta(max_length=MAX_RECEIVERS)] = ()
    retention_risk: Text = ""


_decode = msgspec.json.Decoder(UploadStatus).decode


def encode_status(status: UploadStatus) -> bytes:
    """Return the content of the file."""
    return msgspec.json.format(msgspec.json.encode(status)) + b"\n"


def read_status(folder: LogsFolder) -> UploadStatus | None:
    """Return what the status file says, or None if there is none.

    Raises OSError if it cannot be read, and ValueError if it is no status that this version understands.
    """
    try:
        with folder.open_to_read(folder.status) as file:
            text = file.read(MAX_STATUS_BYTES)
    except FileNotFoundError:
        return None
    try:
        return _decode(text)
    except msgspec.MsgspecError as error:  # in older versions no ValueError
        raise ValueError(str(error)) from None


def schema() -> dict[str, object]:
    """Return the JSON schema of the file."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **msgspec.json.schema(UploadStatus)}
