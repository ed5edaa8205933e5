"""Checks of a topic: when it is created, what it accepts, and why it accepts nothing at the moment."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin._acl import AclOperation

from dfud.broker.ports import HOST, free_ports
from dfud.errors import UsageError
from dfud.kafka import probe as probe_module
from dfud.kafka import topic as topic_module
from dfud.kafka.topic import TopicLimits, check_topic_access, topic_trouble, trouble_in
from tests.helpers.fake_topic import TOPIC, UNKNOWN, FakeClient

WRITE = SimpleNamespace(authorized_operations=[AclOperation.DESCRIBE, AclOperation.WRITE])
FORBIDDEN = KafkaException(KafkaError(KafkaError.CLUSTER_AUTHORIZATION_FAILED, "not allowed"))


def future(outcome: object) -> Future[Any]:
    """Return a future that is done."""
    made: Future[Any] = Future()
    if isinstance(outcome, Exception):
        made.set_exception(outcome)
    else:
        made.set_result(outcome)
    return made


class FakeAdmin:
    """Answers each request with the given outcome."""

    def __init__(self, created: object = None, described: object = WRITE, configured: object = None) -> None:
        self.created, self.described = created, described
        self.configured = configured or {"max.message.bytes": SimpleNamespace(value="1048588")}
        self.creations = 0

    def create_topics(self, topics: list[Any], operation_timeout: float) -> dict[str, Future[Any]]:
        assert [each.topic for each in topics] == [TOPIC]
        assert operation_timeout > 0
        self.creations += 1
        return {TOPIC: future(self.created)}

    def describe_topics(self, topics: Any, include_authorized_operations: bool) -> dict[str, Future[Any]]:
        assert list(topics.topic_names) == [TOPIC]
        assert include_authorized_operations
        return {TOPIC: future(self.described)}

    def describe_configs(self, resources: list[Any]) -> dict[Any, Future[Any]]:
        return {resource: future(self.configured) for resource in resources}


@pytest.fixture
def check(monkeypatch: pytest.MonkeyPatch) -> Callable[[FakeClient, FakeAdmin], TopicLimits]:
    """The check of a topic that a fake client and a fake administrator know."""

    def check(client: FakeClient, admin: FakeAdmin) -> TopicLimits:
        monkeypatch.setattr(topic_module, "Producer", client)
        monkeypatch.setattr(topic_module, "AdminClient", lambda _properties: admin)
        return check_topic_access(TOPIC, {"bootstrap.servers": "host:9092"}, "file.config")

    return check


Check = Callable[[FakeClient, FakeAdmin], TopicLimits]
TWO_PARTITIONS = {0: (0, 0, 0), 1: (0, 0, 0)}


def test_the_limits_of_a_topic(check: Check) -> None:
    admin = FakeAdmin()
    assert check(FakeClient(TWO_PARTITIONS), admin) == TopicLimits(2, 1048588)
    assert admin.creations == 0


@pytest.mark.parametrize(
    "created",
    [
        None,
        pytest.param(KafkaException(KafkaError(KafkaError.TOPIC_ALREADY_EXISTS)), id="by another"),
    ],
)
def test_a_missing_topic_is_created_once_and_waited_for(check: Check, created: object) -> None:
    admin = FakeAdmin(created)
    client = FakeClient(TWO_PARTITIONS, [UNKNOWN, UNKNOWN, UNKNOWN])
    assert check(client, admin).partitions == 2
    assert admin.creations == 1
    assert client.polls == 2


@pytest.mark.parametrize(
    ("created", "message"),
    [
        pytest.param(FORBIDDEN, "cannot be created: not allowed; create it, or check --topic_name", id="refused"),
        pytest.param(FutureTimeoutError(), "creating it timed out; try again", id="slow"),
    ],
)
def test_a_topic_that_cannot_be_created(check: Check, created: object, message: str) -> None:
    with pytest.raises(UsageError) as raised:
        check(FakeClient({}, [UNKNOWN]), FakeAdmin(created))
    assert str(raised.value).startswith(f"cannot access topic {TOPIC} at host:9092 (bootstrap.servers in file")
    assert str(raised.value).endswith(message)


def test_a_topic_without_partitions_is_waited_for(check: Check, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe_module, "PROBE_TIMEOUT_S", 0.0)
    with pytest.raises(UsageError, match=r"it has no partitions; check"):
        check(FakeClient({}), FakeAdmin())


def test_a_topic_that_this_user_may_not_write_to(check: Check) -> None:
    admin = FakeAdmin(described=SimpleNamespace(authorized_operations=[AclOperation.DESCRIBE]))
    with pytest.raises(UsageError, match=r"ACLs do not allow this user to write; grant the operation Write"):
        check(FakeClient(TWO_PARTITIONS), admin)


@pytest.mark.parametrize("unknown", [FORBIDDEN, FutureTimeoutError()])
def test_what_may_not_be_asked_is_left_to_the_upload(check: Check, unknown: object) -> None:
    assert check(FakeClient(TWO_PARTITIONS), FakeAdmin(None, unknown, unknown)) == TopicLimits(2, None)
    no_operations = SimpleNamespace(authorized_operations=None)
    assert check(FakeClient(TWO_PARTITIONS), FakeAdmin(None, no_operations, {"x": 1})) == TopicLimits(2, None)


def metadata(*partitions: dict[str, Any], error: KafkaError | None = None) -> Any:
    healthy = {"leader": 1, "replicas": [1, 2, 3], "isrs": [1, 2, 3]}
    return SimpleNamespace(
        error=error, partitions={at: SimpleNamespace(**{**healthy, **each}) for at, each in enumerate(partitions)}
    )


@pytest.mark.parametrize(
    ("described", "trouble"),
    [
        pytest.param(metadata({}, {}), "", id="none"),
        pytest.param(metadata(error=KafkaError(KafkaError._MSG_TIMED_OUT, "no such")), "no such", id="error"),
        pytest.param(metadata({}, {"leader": -1}), "1 of its 2 partitions have no leader", id="leader"),
        pytest.param(
            metadata({"isrs": [1]}, {"isrs": [2, 3]}),
            "2 of its 2 partitions have too few replicas in sync",
            id="replicas",
        ),
    ],
)
def test_the_trouble_with_a_topic(described: Any, trouble: str) -> None:
    assert trouble_in(described) == trouble


def test_an_unreachable_broker_is_not_waited_for_long() -> None:
    began = time.monotonic()
    assert topic_trouble("topic", {"bootstrap.servers": f"{HOST}:{free_ports(1)[0]}"})
    assert time.monotonic() - began < 10
