"""Questions about a topic: what is a failure, and what the user reads about it."""

from __future__ import annotations

from typing import Any

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer

from dfud.errors import UsageError
from dfud.kafka import listener, topic_probe
from dfud.kafka.probe import ProbeError
from dfud.kafka.topic_probe import TopicProbe
from tests.helpers.fake_topic import TOPIC, FakeClient

PROPERTIES = {"bootstrap.servers": "host:9092"}
PREFIX = f"cannot access topic {TOPIC} at host:9092 (bootstrap.servers in file.config): "


def probe_of(client: FakeClient, **properties: str) -> TopicProbe[Any]:
    return TopicProbe(client, TOPIC, properties or PROPERTIES, "file.config")


def fail_with(monkeypatch: pytest.MonkeyPatch, reason: str, error: KafkaError | None) -> None:
    """Let every probe end without an answer."""

    def no_answer(*_args: object) -> str:
        raise ProbeError(reason, error)

    monkeypatch.setattr(topic_probe, "probe", no_answer)


@pytest.mark.parametrize("client_type", [Producer, Consumer])
@pytest.mark.parametrize("properties", [{"no.such": "1"}, {"linger.ms": "soon"}, {"socket.timeout.ms": "x"}])
def test_properties_that_librdkafka_refuses(client_type: Any, properties: dict[str, str]) -> None:
    with pytest.raises(UsageError, match=r"^invalid configuration in file.config: ") as raised:
        TopicProbe(client_type, TOPIC, {**properties, "group.id": "g"}, "file.config")
    (name,) = properties
    assert name in str(raised.value)


@pytest.mark.parametrize(
    ("code", "advice"),
    [
        (KafkaError._AUTHENTICATION, "check sasl.username, sasl.password and sasl.mechanism"),
        (KafkaError._SSL, "check ssl.ca.location and security.protocol"),
        (KafkaError.TOPIC_AUTHORIZATION_FAILED, "grant the user of this file access to the topic"),
        (KafkaError._TRANSPORT, "check bootstrap.servers, and that the broker is running"),
    ],
)
def test_advice_follows_the_cause(monkeypatch: pytest.MonkeyPatch, code: int, advice: str) -> None:
    fail_with(monkeypatch, "the reason", KafkaError(code, "the reason"))
    with pytest.raises(UsageError) as raised:
        probe_of(FakeClient({})).ask(str)
    assert str(raised.value) == f"{PREFIX}the reason; {advice}"


def test_what_listens_at_the_address_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    fail_with(monkeypatch, "timed out", None)
    asked: list[str] = []
    for found, text in (
        (listener.Listener("SASL_SSL", ("PLAIN",)), "host:9092: the broker's listener there speaks SASL_SSL"),
        (listener.Listener(listener.HTTP), "an HTTP server answers there"),
        (listener.Listener(listener.CLOSING), "it accepts connections and closes them; check the port"),
        (listener.Listener("PLAINTEXT"), r"no answer \(timed out\); check bootstrap.servers"),
    ):

        def identify(address: str, found: listener.Listener = found) -> listener.Listener:
            asked.append(address)
            return found

        monkeypatch.setattr(listener, "identify", identify)
        with pytest.raises(UsageError, match=text):
            probe_of(FakeClient({})).ask(str)
    assert asked == ["host:9092"] * 4


def test_the_reason_of_the_waiting_is_told_once_each() -> None:
    client = FakeClient({}, [KafkaException(KafkaError(KafkaError._TIMED_OUT, "timed out"))] * 6)
    reasons: list[str] = []
    probe: TopicProbe[Any] = TopicProbe(client, TOPIC, PROPERTIES, "file.config", reasons.append)
    client.report(
        KafkaError(KafkaError._TRANSPORT, "host:9092/bootstrap: Connect to ipv4#1.2.3.4:9092 failed: why")
    )
    client.offsets = {0: (0, 1, 0)}
    assert probe.ask(probe.metadata).error is None
    assert reasons == [
        "host:9092 (bootstrap.servers in file.config): host:9092: why; "
        "check bootstrap.servers, and that the broker is running"
    ]


def test_the_alias_of_the_servers_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    fail_with(monkeypatch, "the reason", None)
    with pytest.raises(UsageError, match=r"at other:1 \("):
        probe_of(FakeClient({}), **{"metadata.broker.list": "other:1"}).ask(str)


def test_a_permanent_error_of_the_client_ends_the_questions() -> None:
    client = FakeClient({}, [KafkaException(KafkaError(KafkaError._TIMED_OUT))])
    probe = probe_of(client)
    client.report(KafkaError(KafkaError._AUTHENTICATION, "wrong password"))
    with pytest.raises(UsageError, match=r"wrong password; check sasl"):
        probe.ask(probe.metadata)
    assert client.polls == 1


def test_a_topic_that_may_not_be_described_is_refused_at_once() -> None:
    client = FakeClient({}, [KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED, "not authorized")])
    probe = probe_of(client)
    with pytest.raises(UsageError, match=r"not authorized; grant"):
        probe.ask(probe.metadata)
    assert client.polls == 0


def test_the_log_of_the_client_is_dropped(capfd: pytest.CaptureFixture[str]) -> None:
    client = FakeClient({})
    probe_of(client)
    client.properties["logger"].critical("seen by nobody")
    assert capfd.readouterr() == ("", "")
