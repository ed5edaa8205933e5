"""What librdkafka counts of one Kafka producer, and the few numbers of it that matter.

Only with metrics: librdkafka measures nothing of this unless it is asked to.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
from confluent_kafka import Producer

from dfud.logs.upload_status import KafkaStatus
from dfud.messages import ClientStatistics, FromProducer
from dfud.uploading.renewable_producer import ProducerFactory

_DEFAULT_INTERVAL_MS = 10_000
_INTERVAL = "statistics.interval.ms"
_UP = "UP"  # state of a connection that can be used


class ClientCounts(NamedTuple):
    """What only grows."""

    messages: int = 0  # sent, canaries and repetitions included
    requests: int = 0
    retries: int = 0  # of requests
    request_timeouts: int = 0
    send_errors: int = 0
    sent_bytes: int = 0
    received_bytes: int = 0
    disconnections: int = 0
    round_trips: int = 0
    round_trip_us: int = 0  # of all of them together
    throttled_ms: int = 0  # by which the broker has delayed its answers


# STATISTICS.md of librdkafka describes these; its other fields are skipped.


class _Window(msgspec.Struct, frozen=True):
    """Measurements since the last statistics."""

    sum: int = 0
    cnt: int = 0
    p99: int = 0


class _Broker(msgspec.Struct, frozen=True):
    state: str = ""
    txerrs: int = 0
    txretries: int = 0
    req_timeouts: int = 0
    disconnects: int = 0
    rtt: _Window = _Window()  # us
    throttle: _Window = _Window()  # ms


class _Client(msgspec.Struct, frozen=True):
    name: str = ""  # of this Kafka producer; another one begins at 0
    msg_cnt: int = 0
    msg_size: int = 0
    tx: int = 0
    tx_bytes: int = 0
    rx_bytes: int = 0
    txmsgs: int = 0
    brokers: dict[str, _Broker] = {}


_decode = msgspec.json.Decoder(_Client).decode


def statistics_interval(properties: Mapping[str, Any]) -> float:
    """Return how often librdkafka is asked (s), by the user's setting if there is one; 0 for never."""
    return float(properties.get(_INTERVAL, _DEFAULT_INTERVAL_MS)) / 1000


class StatisticsReporter:
    """Responsible for telling the supervisor what the Kafka producers of a lane count.

    There are so many of them at a time, and others after these.
    """

    def __init__(
        self,
        lane: int,
        interval_s: float,
        send: Callable[[Sequence[FromProducer]], None],
        n_producers: int = 1,
    ) -> None:
        """Report for `lane`, which has `n_producers`, every `interval_s`, by `send`."""
        self._lane = lane
        self._interval_s = interval_s
        self._send = send
        self._n_producers = n_producers
        self._latest: dict[str, _Client] = {}  # by name

    def make(self, factory: ProducerFactory, properties: dict[str, Any]) -> Producer:
        """Return a Kafka producer whose statistics are reported."""
        statistics = {_INTERVAL: int(self._interval_s * 1000), "stats_cb": self.on_statistics}
        return factory({**properties, **statistics})

    def on_statistics(self, text: str) -> None:
        """Report the JSON of librdkafka; what cannot be understood is dropped, as it concerns no file."""
        with contextlib.suppress(msgspec.MsgspecError):
            self._report(_decode(text))

    def _report(self, client: _Client) -> None:
        if client.name not in self._latest and len(self._latest) >= self._n_producers:
            self._latest.clear()  # they were replaced
        before = self._latest.get(client.name, _Client())
        self._latest[client.name] = client
        brokers = client.brokers.values()
        pairs = [(broker, before.brokers.get(name, _Broker())) for name, broker in client.brokers.items()]
        counts = ClientCounts(
            messages=client.txmsgs - before.txmsgs,
            requests=client.tx - before.tx,
            retries=sum(_new(now.txretries, then.txretries) for now, then in pairs),
            request_timeouts=sum(_new(now.req_timeouts, then.req_timeouts) for now, then in pairs),
            send_errors=sum(_new(now.txerrs, then.txerrs) for now, then in pairs),
            sent_bytes=client.tx_bytes - before.tx_bytes,
            received_bytes=client.rx_bytes - before.rx_bytes,
            disconnections=sum(_new(now.disconnects, then.disconnects) for now, then in pairs),
            round_trips=sum(broker.rtt.cnt for broker in brokers),
            round_trip_us=sum(broker.rtt.sum for broker in brokers),
            throttled_ms=sum(broker.throttle.sum for broker in brokers),
        )
        clients = self._latest.values()
        all_brokers = [broker for each in clients for broker in each.brokers.values()]
        p99_us = max((broker.rtt.p99 for broker in all_brokers if broker.rtt.cnt), default=None)
        self._send(
            [
                ClientStatistics(
                    self._lane,
                    sum(each.msg_cnt for each in clients),
                    sum(each.msg_size for each in clients),
                    sum(broker.state == _UP for broker in all_brokers),
                    None if p99_us is None else p99_us / 1e6,
                    counts,
                )
            ]
        )


def _new(now: int, then: int) -> int:
    """Return what a broker's counter has grown by; librdkafka drops brokers, and adds them again with 0."""
    return now - then if now >= then else now


class ClientTotals:
    """The supervisor's sums over all Kafka producers of a run."""

    def __init__(self) -> None:
        """Begin with nothing, which is what there is if nobody wants metrics."""
        self._latest: dict[int, ClientStatistics] = {}  # by lane
        self._counts = ClientCounts()

    def add(self, statistics: ClientStatistics) -> None:
        """Take what a lane reports."""
        self._latest[statistics.lane] = statistics
        self._counts = ClientCounts(*(total + new for total, new in zip(self._counts, statistics.counts)))

    @property
    def status(self) -> KafkaStatus | None:
        """What the status of the run says of it."""
        if not self._latest:
            return None
        lanes, counts = self._latest.values(), self._counts
        return KafkaStatus(
            queued_messages=sum(lane.queued_messages for lane in lanes),
            queued_bytes=sum(lane.queued_bytes for lane in lanes),
            connections=sum(lane.connections for lane in lanes),
            round_trip_p99_s=max(
                (lane.round_trip_p99_s for lane in lanes if lane.round_trip_p99_s is not None), default=None
            ),
            round_trip_s=counts.round_trip_us / 1e6,
            throttled_s=counts.throttled_ms / 1e3,
            **{name: getattr(counts, name) for name in counts._fields[:-2]},
        )
