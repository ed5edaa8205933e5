"""Statistics of librdkafka are added up, whatever Kafka producers come and go; damaged ones are dropped."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
from confluent_kafka import Producer

from dfud.logs.upload_status import KafkaStatus
from dfud.messages import ClientStatistics, FromProducer
from dfud.uploading.client_statistics import (
    ClientTotals,
    StatisticsReporter,
    _Broker,
    _Client,
    _Window,
    statistics_interval,
)
from tests.helpers.uploading import wait_until


class Bench:
    """The reporters of two lanes, and what the supervisor makes of what they say."""

    def __init__(self, n_producers: int = 1) -> None:
        self.totals = ClientTotals()
        self.reporters = [StatisticsReporter(lane, 0.1, self.send, n_producers) for lane in range(2)]

    def send(self, messages: Sequence[FromProducer]) -> None:
        for message in messages:
            assert isinstance(message, ClientStatistics)
            self.totals.add(message)

    def report(
        self, lane: int, name: str = "first", brokers: Sequence[dict[str, Any]] = (), **fields: int
    ) -> None:
        by_name = {str(number): broker for number, broker in enumerate(brokers)}
        self.reporters[lane].on_statistics(json.dumps({"name": name, **fields, "brokers": by_name}))

    @property
    def status(self) -> KafkaStatus:
        assert self.totals.status is not None
        return self.totals.status


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_counters_go_on_when_a_kafka_producer_is_replaced(bench: Bench) -> None:
    for tx, name in ((5, "first"), (7, "first"), (3, "second"), (4, "second")):
        bench.report(0, name, tx=tx)
    bench.report(1, tx=100)
    assert bench.status.requests == 7 + 4 + 100


def test_counters_do_not_go_back_when_librdkafka_drops_a_broker(bench: Bench) -> None:
    for counts in ([5, 7], [6], [1], [1, 2]):  # the second leaves, the first begins anew, the second comes back
        bench.report(0, brokers=[{"disconnects": count} for count in counts])
    assert bench.status.disconnections == (5 + 7) + 1 + 1 + 2


def test_measurements_are_of_all_lanes_and_brokers(bench: Bench) -> None:
    up = {"state": "UP", "rtt": {"cnt": 2, "sum": 3_000, "p99": 2_000}, "throttle": {"cnt": 1, "sum": 500}}
    idle = {"state": "INIT", "rtt": {"cnt": 0, "sum": 0, "p99": 9_000_000}}
    for lane in (0, 1):
        bench.report(lane, brokers=[up, idle], msg_cnt=3, msg_size=30)
    bench.report(1, brokers=[up], msg_cnt=1, msg_size=10)
    status = bench.status
    assert (status.queued_messages, status.queued_bytes, status.connections) == (4, 40, 2)
    assert (status.round_trips, status.round_trip_s, status.throttled_s) == (6, 0.009, 1.5)
    assert status.round_trip_p99_s == 0.002
    bench.report(0, brokers=[idle])
    bench.report(1, brokers=[idle])
    assert bench.status.round_trip_p99_s is None


def test_the_kafka_producers_of_a_lane_are_added_up_until_they_are_replaced() -> None:
    bench = Bench(n_producers=2)
    for name in ("first", "second"):
        bench.report(0, name, tx=5, msg_cnt=2, brokers=[{"state": "UP", "rtt": {"cnt": 1, "p99": 3_000}}])
    bench.report(0, "first", tx=7, msg_cnt=3, brokers=[{"state": "UP"}])
    status = bench.status
    assert (status.requests, status.queued_messages, status.connections) == (5 + 7, 2 + 3, 2)
    assert status.round_trip_p99_s == 0.003
    bench.report(0, "third", tx=1, msg_cnt=1)
    assert (bench.status.requests, bench.status.queued_messages, bench.status.connections) == (5 + 7 + 1, 1, 0)


@pytest.mark.parametrize("text", ["", "[]", '{"tx": "many"}', '{"brokers": {"b": {"rtt": 1}}}', '{"tx": 1'])
def test_what_cannot_be_understood_is_dropped(bench: Bench, text: str) -> None:
    bench.reporters[0].on_statistics(text)
    assert bench.totals.status is None


def test_librdkafka_has_each_field_that_is_read() -> None:
    texts: list[str] = []
    settings = {"bootstrap.servers": "127.0.0.1:9", "log_level": 0, "statistics.interval.ms": 100}
    producer = Producer({**settings, "stats_cb": texts.append})

    def receive() -> list[str]:
        producer.poll(0.01)
        return texts

    wait_until(receive)
    client = json.loads(texts[0])
    (broker,) = client["brokers"].values()
    for struct, fields in ((_Client, client), (_Broker, broker), (_Window, broker["rtt"])):
        assert set(struct.__struct_fields__) <= set(fields)


def test_the_interval_is_the_users_if_there_is_one() -> None:
    assert statistics_interval({}) == 10.0
    assert statistics_interval({"statistics.interval.ms": "500"}) == 0.5
    assert statistics_interval({"statistics.interval.ms": "0"}) == 0
