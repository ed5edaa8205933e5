"""What an upload exports to Prometheus: the table of its metrics, and their values from the status of a run.

Each sample has the topic and the directory as labels, as the files of several uploads are put together. A metric
without a value, such as the time of an acknowledgement before the first one, has no sample.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import NamedTuple, Union, get_args

from prometheus_client.exposition import generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric

from dfud.logs.upload_status import BrokerState, Polling, ReceiverStatus, State, UploadStatus

RUN_LABELS = ("topic", "directory")
INFO, INFO_LABELS = "dfud_run_info", ("version", "once")
_INFO_HELP = "Always 1; dfud's version, and whether the run ends by itself."

Value = Union[float, None, Mapping[str, float]]  # by the value of the metric's own label, if it has one


class MetricRule(NamedTuple):
    """One metric."""

    name: str
    help: str
    value: Callable[[UploadStatus], Value]
    label: str = ""  # of its own
    is_counter: bool = False


def _gauge(name: str, text: str, value: Callable[[UploadStatus], Value], label: str = "") -> MetricRule:
    return MetricRule(f"dfud_{name}", text, value, label)


def _counter(name: str, text: str, value: Callable[[UploadStatus], Value]) -> MetricRule:
    return MetricRule(f"dfud_{name}_total", text, value, is_counter=True)


def _one_of(states: object, present: str) -> dict[str, float]:
    """Return 1 for the present one of all states of a Literal, and 0 for the others."""
    return {state: float(state == present) for state in get_args(states)}


def _seconds(time: str | None) -> float | None:
    """Return an ISO 8601 time as seconds since 1970."""
    return None if time is None else datetime.fromisoformat(time).timestamp()


def _oldest(status: UploadStatus) -> float | None:
    oldest, written = status.oldest, _seconds(status.written)
    return None if oldest is None or written is None else written - oldest.age_s


def _findings(status: UploadStatus) -> dict[str, float]:
    critical = sum(finding.is_critical for finding in status.topic_findings)
    return {"critical": critical, "warning": len(status.topic_findings) - critical}


def _receivers(field: Callable[[ReceiverStatus], float | None]) -> Callable[[UploadStatus], Value]:
    def value(status: UploadStatus) -> Value:
        values = {each.receiver: number for each in status.receivers if (number := field(each)) is not None}
        return values or None

    return value


def _canary(field: str) -> Callable[[UploadStatus], Value]:
    return lambda status: None if status.canary is None else getattr(status.canary, field)


def _kafka(field: str) -> Callable[[UploadStatus], Value]:
    return lambda status: None if status.kafka is None else getattr(status.kafka, field)


RULES = (
    _gauge("run_state", "Whether the run is in this state.", lambda s: _one_of(State, s.state), "state"),
    _gauge("start_timestamp_seconds", "When the run began.", lambda s: _seconds(s.started)),
    _gauge("status_timestamp_seconds", "When these values were collected.", lambda s: _seconds(s.written)),
    _gauge("exit_status", "Exit status of a run that has ended.", lambda s: s.exit_status),
    _gauge(
        "broker_state",
        "Whether the broker is in this state.",
        lambda s: _one_of(BrokerState, s.broker.state),
        "state",
    ),
    _gauge(
        "broker_state_since_timestamp_seconds",
        "Since when the broker is in its state.",
        lambda s: _seconds(s.broker.since),
    ),
    _gauge(
        "last_acknowledgement_timestamp_seconds",
        "When the broker last acknowledged a chunk to this run.",
        lambda s: _seconds(s.broker.last_ack),
    ),
    _counter(
        "completed_files",
        "Files completed, each counted once however often it changes.",
        lambda s: s.completed.files,
    ),
    _counter("completed_versions", "Versions of files completed.", lambda s: s.completed.versions),
    _counter("completed_bytes", "Size of the versions completed.", lambda s: s.completed.bytes),
    _counter("acknowledged_chunks", "Chunks that the broker has acknowledged.", lambda s: s.acknowledged.chunks),
    _counter("acknowledged_bytes", "Bytes that the broker has acknowledged.", lambda s: s.acknowledged.bytes),
    _gauge("backlog_files", "Files detected, and neither acknowledged nor failed.", lambda s: s.backlog.files),
    _gauge("backlog_versions", "Versions of these files.", lambda s: s.backlog.versions),
    _gauge("backlog_chunks", "Chunks of the backlog that are not acknowledged.", lambda s: s.backlog.chunks),
    _gauge("backlog_bytes", "Bytes of the backlog that are not acknowledged.", lambda s: s.backlog.bytes),
    _gauge(
        "backlog_full",
        "Whether more files may be ready, which wait for room in the backlog.",
        lambda s: s.backlog.is_full,
    ),
    _gauge("oldest_file_timestamp_seconds", "When the oldest file of the backlog was detected.", _oldest),
    _gauge(
        "undelivered_files",
        "Files that this run will not deliver (failed), tries to read again (retrying), waits for (held), "
        "or leaves for the next run (left).",
        lambda s: {kind: getattr(s.failures, kind) for kind in ("failed", "retrying", "held", "left")},
        "kind",
    ),
    _gauge("watching", "Whether the watcher has begun.", lambda s: s.watch.is_watching),
    _gauge(
        "polling", "How much of the directory is polled.", lambda s: _one_of(Polling, s.watch.polling), "extent"
    ),
    _counter("rescans", "Scans of all folders because events were lost.", lambda s: s.watch.rescans),
    _counter("inotify_overflows", "Overflows of inotify's queue.", lambda s: s.watch.overflows),
    _gauge("unread_folders", "Folders that cannot be read now.", lambda s: s.watch.unread_folders),
    _gauge("stalled_workers", "Workers that live and do nothing.", lambda s: len(s.stalls)),
    _counter("worker_restarts", "Workers that died and were replaced.", lambda s: s.restarts.number),
    _gauge(
        "last_worker_restart_timestamp_seconds",
        "When the last worker was replaced.",
        lambda s: _seconds(s.restarts.at),
    ),
    _gauge("canary_interval_seconds", "How often a canary is sent.", _canary("interval_s")),
    _counter("canaries_sent", "Number of the last canary that was written.", _canary("sent")),
    _counter("canaries_returned", "Number of the last canary that all lanes have delivered.", _canary("returned")),
    _gauge("canary_round_trip_seconds", "How long the last canary took.", _canary("round_trip_s")),
    _gauge(
        "last_canary_timestamp_seconds",
        "When the last canary came round.",
        lambda s: None if s.canary is None else _seconds(s.canary.at),
    ),
    _gauge(
        "canary_overdue",
        "Whether canaries do not come round.",
        lambda s: None if s.canary is None else bool(s.canary.cause),
    ),
    _gauge("logs_writable", "Whether LOGS can be written.", lambda s: not s.recording.cause),
    _gauge("logs_free_bytes", "How much can still be written into LOGS.", lambda s: s.recording.free_bytes),
    _gauge(
        "unrecorded_rows", "Completed files whose rows are not on disk yet.", lambda s: s.recording.unrecorded_rows
    ),
    _gauge(
        "topic_harmed", "Whether something was lost on the topic after it was sent.", lambda s: bool(s.topic_harm)
    ),
    _gauge(
        "receiver_missing_files",
        "Files that a receiver has not received.",
        _receivers(lambda r: r.files),
        "receiver",
    ),
    _gauge("receiver_missing_bytes", "Their size.", _receivers(lambda r: r.bytes), "receiver"),
    _gauge(
        "receiver_lost_files",
        "Those of them that are not on the topic any more.",
        _receivers(lambda r: r.lost),
        "receiver",
    ),
    _gauge(
        "receiver_retention_seconds",
        "How long the first of them stays on the topic at least.",
        _receivers(lambda r: r.left_s),
        "receiver",
    ),
    _gauge("topic_findings", "What is wrong with the topic or the clocks now.", _findings, "severity"),
    _gauge(
        "kafka_queued_messages", "Messages in librdkafka that are not acknowledged.", _kafka("queued_messages")
    ),
    _gauge("kafka_queued_bytes", "Bytes of these messages.", _kafka("queued_bytes")),
    _gauge("kafka_connections", "Connections to brokers that can be used.", _kafka("connections")),
    _counter("kafka_messages", "Messages sent, repetitions included.", _kafka("messages")),
    _counter("kafka_requests", "Requests sent to brokers.", _kafka("requests")),
    _counter("kafka_request_retries", "Requests sent again.", _kafka("retries")),
    _counter("kafka_request_timeouts", "Requests that were not answered in time.", _kafka("request_timeouts")),
    _counter("kafka_send_errors", "Requests that could not be sent.", _kafka("send_errors")),
    _counter("kafka_sent_bytes", "Bytes sent to brokers.", _kafka("sent_bytes")),
    _counter("kafka_received_bytes", "Bytes received from brokers.", _kafka("received_bytes")),
    _counter("kafka_disconnections", "Connections that were closed or lost.", _kafka("disconnections")),
    _counter("kafka_round_trips", "Requests that were answered.", _kafka("round_trips")),
    _counter("kafka_round_trip_seconds", "Time that these answers took together.", _kafka("round_trip_s")),
    _gauge(
        "kafka_round_trip_p99_seconds",
        "99th percentile of that time, of the slowest broker, since the statistics before.",
        _kafka("round_trip_p99_s"),
    ),
    _counter(
        "kafka_throttled_seconds", "Time by which brokers have delayed answers for a quota.", _kafka("throttled_s")
    ),
)


class StatusCollector:
    """A collector of prometheus_client: the metrics of one status."""

    def __init__(self, status: UploadStatus) -> None:
        """Export `status`."""
        self._status = status
        self._run = [status.topic, status.directory]

    def collect(self) -> Iterator[Metric]:
        """Yield the families that have a sample."""
        info = GaugeMetricFamily(INFO, _INFO_HELP, labels=[*RUN_LABELS, *INFO_LABELS])
        info.add_metric([*self._run, self._status.version, str(self._status.once).lower()], 1)
        yield info
        for rule in RULES:
            value = rule.value(self._status)
            if value is not None:
                yield self._family(rule, value if isinstance(value, Mapping) else {"": value})

    def _family(self, rule: MetricRule, values: Mapping[str, float]) -> Metric:
        family = CounterMetricFamily if rule.is_counter else GaugeMetricFamily
        own = [rule.label] if rule.label else []
        metric = family(rule.name, rule.help, labels=[*RUN_LABELS, *own])
        for label, value in values.items():
            metric.add_metric([*self._run, label] if own else self._run, value)
        return metric


def render(status: UploadStatus) -> bytes:
    """Return the metrics of `status` in Prometheus' text format."""
    return generate_latest(StatusCollector(status))
