"""The fleet as metrics of Prometheus: of each upload and receiver, with who it is as labels."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import NamedTuple

from prometheus_client.exposition import generate_latest
from prometheus_client.metrics_core import GaugeMetricFamily, Metric

from dfud.announcing.heartbeat_format import UploadDetails
from dfud.core.elapsed import parse_time
from dfud.core.text import escaped
from dfud.fleet.receivers import Receiver
from dfud.fleet.snapshot import Snapshot
from dfud.fleet.verdict import State, Upload
from dfud.logs.status_check import severity

UPLOAD_LABELS = ("program", "host", "directory", "topic")
RECEIVER_LABELS = ("receiver", "topic")


class UploadRule(NamedTuple):
    """One metric of an upload."""

    name: str
    help: str
    value: Callable[[Upload], float | None]  # None if it is not known


class ReceiverRule(NamedTuple):
    """One metric of a receiver."""

    name: str
    help: str
    value: Callable[[Receiver], float | None]


def _said(value: Callable[[UploadDetails], float | None]) -> Callable[[Upload], float | None]:
    return lambda upload: None if upload.details is None else value(upload.details)


UPLOAD_RULES = (
    UploadRule("dfud_fleet_level", "0 fine, 1 unknown, 2 warning, 3 critical.", lambda u: severity(u.level)),
    UploadRule(
        "dfud_fleet_heartbeat_timestamp_seconds", "When the last heartbeat was sent.", lambda u: u.program.at_s
    ),
    UploadRule("dfud_fleet_heartbeat_interval_seconds", "How often heartbeats are sent.", lambda u: u.interval_s),
    UploadRule("dfud_fleet_backlog_files", "Files that wait.", _said(lambda d: d.backlog.files)),
    UploadRule("dfud_fleet_backlog_bytes", "Bytes of them.", _said(lambda d: d.backlog.bytes)),
    UploadRule(
        "dfud_fleet_oldest_file_age_seconds",
        "How long the oldest of them had waited at the last heartbeat.",
        _said(lambda d: None if d.oldest is None else d.oldest.age_s),
    ),
    UploadRule(
        "dfud_fleet_failed_files", "Files that could not be delivered.", _said(lambda d: d.failures.failed)
    ),
    UploadRule("dfud_fleet_completed_files", "Files completed by this run.", _said(lambda d: d.completed.files)),
    UploadRule(
        "dfud_fleet_acknowledged_bytes", "Bytes acknowledged to this run.", _said(lambda d: d.acknowledged.bytes)
    ),
    UploadRule(
        "dfud_fleet_directory_free_bytes",
        "How much can be written into DIR.",
        _said(lambda d: d.directory_free_bytes),
    ),
    UploadRule(
        "dfud_fleet_logs_free_bytes", "How much can be written into LOGS.", _said(lambda d: d.recording.free_bytes)
    ),
    UploadRule("dfud_fleet_exit_status", "Exit status of a run that has ended.", _said(lambda d: d.exit_status)),
)

RECEIVER_RULES = (
    ReceiverRule("dfud_fleet_receipts", "Receipts of a receiver on the topic of receipts.", lambda r: r.receipts),
    ReceiverRule(
        "dfud_fleet_last_receipt_timestamp_seconds",
        "When it put a file in its place last.",
        lambda r: _seconds(r.last),
    ),
    ReceiverRule(
        "dfud_fleet_receiver_behind_seconds",
        "How much later the last file was complete on the topic; left out while files are under way.",
        lambda r: r.behind_s,
    ),
    ReceiverRule(
        "dfud_fleet_receiver_unread_messages",
        "Messages on the topic that it has not read.",
        lambda r: None if r.lag is None else r.lag.unread,
    ),
    ReceiverRule(
        "dfud_fleet_receiver_lacking_files",
        "Files that it has not received, as uploads with --guard say.",
        lambda r: r.lacking,
    ),
    ReceiverRule(
        "dfud_fleet_receiver_left_seconds",
        "How long retention leaves the first of them on the topic.",
        lambda r: r.left_s,
    ),
    ReceiverRule(
        "dfud_fleet_receiver_lost_messages",
        "Messages that were deleted before it had read them.",
        lambda r: None if r.lag is None else r.lag.lost,
    ),
)


class FleetCollector:
    """A collector of prometheus_client: the metrics of one snapshot."""

    def __init__(self, snapshot: Snapshot) -> None:
        """Export `snapshot`."""
        self._snapshot = snapshot

    def collect(self) -> Iterator[Metric]:
        """Yield the families."""
        snapshot = self._snapshot
        yield GaugeMetricFamily("dfud_fleet_timestamp_seconds", "When these values were collected.", snapshot.at_s)
        yield GaugeMetricFamily(
            "dfud_fleet_notes", "What could not be read, or was left out.", len(snapshot.notes)
        )
        uploads = GaugeMetricFamily("dfud_fleet_uploads", "Uploads in this state.", labels=["state"])
        for state in State:
            uploads.add_metric([state.value], snapshot.states[state])
        yield uploads
        of_each = GaugeMetricFamily(
            "dfud_fleet_upload_state", "Whether the upload is in this state.", labels=[*UPLOAD_LABELS, "state"]
        )
        for upload in snapshot.uploads:
            for state in State:
                of_each.add_metric([*_labels(upload), state.value], float(upload.state is state))
        yield of_each
        for rule in UPLOAD_RULES:
            yield _family(
                rule.name, rule.help, UPLOAD_LABELS, [(_labels(u), rule.value(u)) for u in snapshot.uploads]
            )
        for of in RECEIVER_RULES:
            values = [([each.name, each.topic], of.value(each)) for each in snapshot.receivers]
            yield _family(of.name, of.help, RECEIVER_LABELS, values)


def _family(
    name: str, text: str, labels: tuple[str, ...], values: list[tuple[list[str], float | None]]
) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, text, labels=labels)
    for of, value in values:
        if value is not None:
            family.add_metric(of, value)
    return family


def _labels(upload: Upload) -> list[str]:
    details = upload.details
    where = ("", "", "") if details is None else (details.host, details.directory, details.topic)
    return [upload.program.id, *map(escaped, where)]


def _seconds(time: str) -> float | None:
    parsed: datetime | None = parse_time(time)
    return None if parsed is None else parsed.timestamp()


def render(snapshot: Snapshot) -> bytes:
    """Return the metrics of a fleet in Prometheus' text format."""
    return generate_latest(FleetCollector(snapshot))
