"""Each field of the status that an alert needs is a metric, and the document has all of them."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
from prometheus_client.parser import text_string_to_metric_families

from dfud.logs.upload_status import (
    Acknowledged,
    Backlog,
    BrokerStatus,
    CanaryStatus,
    Completed,
    Failures,
    KafkaStatus,
    OldestFile,
    Recording,
    Restarts,
    Stall,
    UploadStatus,
    WatchStatus,
)
from dfud.metrics.families import INFO, INFO_LABELS, RULES, render
from tests.helpers.statuses import upload_status

DOCUMENT = Path(__file__).resolve().parents[3] / "docs" / "metrics.md"
AT = "2026-03-01T10:00:0{}.000+02:00"
EPOCH = 1_772_352_000.0  # s; of AT with 0
NEW = upload_status(
    version="1.2",
    directory='/a "b"\\\\c\n',
    state="starting",
    once=True,
    started=AT.format(0),
    written=AT.format(9),
)
ENDED = msgspec.structs.replace(
    NEW,
    state="ended",
    exit_status=1,
    broker=BrokerStatus("slow", "why", AT.format(1), AT.format(2)),
    completed=Completed(11, 12, 13),
    acknowledged=Acknowledged(14, 15),
    backlog=Backlog(16, 17, 18, 19, True),
    oldest=OldestFile("path", "unreadable", 5.0),
    failures=Failures(20, 21, 22, 23),
    watch=WatchStatus(True, "part", 24, 25, 26),
    restarts=Restarts(27, "watcher died", AT.format(3)),
    stalls=(Stall("watcher", "stopped", AT.format(4)),),
    canary=CanaryStatus(29.0, 30, 31, AT.format(5), 32.5, "lost"),
    kafka=KafkaStatus(33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44, 46.5, 47.5, 48.5),
    recording=Recording("full", 28),
    topic_harm="deleted",
)


def samples(status: UploadStatus) -> dict[str, float]:
    """Return the values that a Prometheus reads, by name and the value of the sample's own label."""
    found = {}
    for family in text_string_to_metric_families(render(status).decode()):
        for sample in family.samples:
            labels = dict(sample.labels)
            assert (labels.pop("topic"), labels.pop("directory")) == (status.topic, status.directory)
            found[" ".join([sample.name, *labels.values()])] = sample.value
    return found


def test_a_run_that_begins_has_no_times_but_its_own() -> None:
    found = samples(NEW)
    assert {name: value - EPOCH for name, value in found.items() if "timestamp" in name} == {
        "dfud_start_timestamp_seconds": 0,
        "dfud_status_timestamp_seconds": 9,
    }
    assert "dfud_exit_status" not in found
    assert found["dfud_logs_writable"] == 1
    assert found["dfud_run_state starting"] == 1


def test_every_number_of_the_status_has_its_metric() -> None:
    found = samples(ENDED)
    times = {name: value - EPOCH for name, value in found.items() if "timestamp" in name}
    assert {name: value for name, value in found.items() if value != 0 and name not in times} == {
        "dfud_run_info true 1.2": 1,
        "dfud_run_state ended": 1,
        "dfud_exit_status": 1,
        "dfud_broker_state slow": 1,
        "dfud_completed_files_total": 11,
        "dfud_completed_versions_total": 12,
        "dfud_completed_bytes_total": 13,
        "dfud_acknowledged_bytes_total": 14,
        "dfud_acknowledged_chunks_total": 15,
        "dfud_backlog_files": 16,
        "dfud_backlog_versions": 17,
        "dfud_backlog_bytes": 18,
        "dfud_backlog_chunks": 19,
        "dfud_backlog_full": 1,
        "dfud_undelivered_files failed": 20,
        "dfud_undelivered_files retrying": 21,
        "dfud_undelivered_files held": 22,
        "dfud_undelivered_files left": 23,
        "dfud_watching": 1,
        "dfud_polling part": 1,
        "dfud_rescans_total": 24,
        "dfud_inotify_overflows_total": 25,
        "dfud_unread_folders": 26,
        "dfud_worker_restarts_total": 27,
        "dfud_stalled_workers": 1,
        "dfud_unrecorded_rows": 28,
        "dfud_topic_harmed": 1,
        "dfud_canary_interval_seconds": 29,
        "dfud_canaries_sent_total": 30,
        "dfud_canaries_returned_total": 31,
        "dfud_canary_round_trip_seconds": 32.5,
        "dfud_canary_overdue": 1,
        "dfud_kafka_queued_messages": 33,
        "dfud_kafka_queued_bytes": 34,
        "dfud_kafka_connections": 35,
        "dfud_kafka_messages_total": 36,
        "dfud_kafka_requests_total": 37,
        "dfud_kafka_request_retries_total": 38,
        "dfud_kafka_request_timeouts_total": 39,
        "dfud_kafka_send_errors_total": 40,
        "dfud_kafka_sent_bytes_total": 41,
        "dfud_kafka_received_bytes_total": 42,
        "dfud_kafka_disconnections_total": 43,
        "dfud_kafka_round_trips_total": 44,
        "dfud_kafka_round_trip_seconds_total": 46.5,
        "dfud_kafka_round_trip_p99_seconds": 47.5,
        "dfud_kafka_throttled_seconds_total": 48.5,
    }
    assert times == {
        "dfud_start_timestamp_seconds": 0,
        "dfud_status_timestamp_seconds": 9,
        "dfud_broker_state_since_timestamp_seconds": 1,
        "dfud_last_acknowledgement_timestamp_seconds": 2,
        "dfud_last_worker_restart_timestamp_seconds": 3,
        "dfud_last_canary_timestamp_seconds": 5,
        "dfud_oldest_file_timestamp_seconds": 4,
    }


def test_the_document_has_each_metric_with_its_type_and_labels() -> None:
    rows = re.findall(
        r"^\| `(dfud_\w+)` \| (\w+) \| (.*?) ?\|", DOCUMENT.read_text(encoding="utf-8"), re.MULTILINE
    )
    described = {(name, kind, tuple(re.findall(r"\w+", labels))) for name, kind, labels in rows}
    exported = {
        (rule.name, "counter" if rule.is_counter else "gauge", (rule.label,) if rule.label else ())
        for rule in RULES
    }
    assert described == exported | {(INFO, "gauge", INFO_LABELS)}
