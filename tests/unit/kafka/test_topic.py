"""The topic before an upload: when it is created, what of it is known, and why it accepts nothing."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin._acl import AclOperation

from dfud.broker.ports import HOST, free_ports
from dfud.errors import UsageError
from dfud.kafka import probe as probe_module
from dfud.kafka import topic as topic_module
from dfud.kafka import topic_probe
from dfud.kafka.topic import UploadTopic, examine_topic, look_at_topic, topic_trouble, trouble_in
from dfud.kafka.topic_facts import ClockReading, Severity
from dfud.kafka.topic_rules import BROKERS_RECORD, UploadNeeds
from tests.helpers.fake_topic import TOPIC, UNKNOWN, FakeClient

ID = "ediF_sxBRxSkhNaCt0w1yQ"
WRITE = SimpleNamespace(topic_id=ID, authorized_operations=[AclOperation.DESCRIBE, AclOperation.WRITE])
FORBIDDEN = KafkaException(KafkaError(KafkaError.CLUSTER_AUTHORIZATION_FAILED, "not allowed"))
SLOW = KafkaException(KafkaError(KafkaError._TIMED_OUT, "too slow"))
GONE = KafkaException(KafkaError(KafkaError._DESTROY_BROKER, "the broker left"))
NO_CONTROLLER = KafkaException(KafkaError(KafkaError.NOT_CONTROLLER, "no controller"))
GOOD = {"max.message.bytes": SimpleNamespace(value="1048588"), "cleanup.policy": SimpleNamespace(value="delete")}


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

    def __init__(
        self, created: object = None, described: object = WRITE, configured: object = None, newest: object = -1
    ) -> None:
        self.created, self.described, self.newest = created, described, newest
        self.configured = configured or GOOD
        self.creations = self.validations = 0

    def poll(self, timeout: float) -> None:
        assert timeout == 0

    def create_topics(self, topics: list[Any], validate_only: bool = False, **_: float) -> dict[str, Future[Any]]:
        assert [each.topic for each in topics] == [TOPIC]
        self.creations += not validate_only
        self.validations += validate_only
        return {TOPIC: future(self.created)}

    def describe_topics(self, topics: Any, **_: Any) -> dict[str, Future[Any]]:
        offsets_topic = SimpleNamespace(partitions=[0])
        return {name: future(self.described if name == TOPIC else offsets_topic) for name in topics.topic_names}

    def describe_configs(self, resources: list[Any], **_: float) -> dict[Any, Future[Any]]:
        return {resource: future(self.configured) for resource in resources}

    def list_offsets(self, partitions: dict[Any, Any], **_: float) -> dict[Any, Future[Any]]:
        newest = self.newest
        answer = newest if isinstance(newest, Exception) else SimpleNamespace(timestamp=newest)
        return {partition: future(answer) for partition in partitions}


Check = Callable[[FakeClient, FakeAdmin], UploadTopic]


@pytest.fixture
def check(monkeypatch: pytest.MonkeyPatch) -> Check:
    """The look at a topic that a fake client and a fake administrator know."""

    def check(client: FakeClient, admin: FakeAdmin) -> UploadTopic:
        monkeypatch.setattr(topic_module, "Producer", client)
        monkeypatch.setattr(topic_probe, "make_admin_client", lambda _properties: admin)
        return look_at_topic(None, TOPIC, {"bootstrap.servers": "host:9092"}, "file.config", UploadNeeds(16384))

    return check


TWO_PARTITIONS = {0: (0, 0, 0), 1: (0, 0, 0)}


def test_what_is_known_of_a_topic(check: Check) -> None:
    admin = FakeAdmin()
    facts, findings = check(FakeClient(TWO_PARTITIONS), admin)
    assert facts.topic_id == ID
    assert len(facts.partitions) == 2
    assert facts.largest_batch == 1048588
    assert facts.operations == frozenset(["DESCRIBE", "WRITE"])
    assert facts.clocks == ()
    assert findings == []
    assert admin.creations == 0


def test_the_latest_timestamps_are_what_is_known_of_clocks(check: Check) -> None:
    facts, _ = check(FakeClient(TWO_PARTITIONS), FakeAdmin(newest=77))
    now = int(time.time() * 1000)
    assert [each._replace(ours=0) for each in facts.clocks] == [
        ClockReading(77, 0, False, "the last message on the topic"),
        ClockReading(77, 0, False, BROKERS_RECORD),
    ]
    assert all(now - 10_000 < each.ours <= now for each in facts.clocks)


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
    assert len(check(client, admin).facts.partitions) == 2
    assert admin.creations == 1
    assert client.polls == 2


def test_a_topic_that_cannot_be_created(check: Check) -> None:
    with pytest.raises(UsageError) as raised:
        check(FakeClient({}, [UNKNOWN]), FakeAdmin(FORBIDDEN))
    assert str(raised.value).startswith(f"cannot access topic {TOPIC} at host:9092 (bootstrap.servers in file")
    assert str(raised.value).endswith("cannot be created: not allowed; create it, or check --topic_name")


@pytest.mark.parametrize("outcome", [None, FORBIDDEN])
def test_an_examination_creates_nothing(monkeypatch: pytest.MonkeyPatch, outcome: object) -> None:
    admin = FakeAdmin(outcome)
    made: list[Any] = []

    def producer(properties: Any) -> FakeClient:
        made.append(properties)
        return FakeClient({}, [UNKNOWN])

    monkeypatch.setattr(topic_module, "Producer", producer)
    monkeypatch.setattr(topic_probe, "make_admin_client", lambda _properties: admin)
    look = partial(examine_topic, None, TOPIC, {"bootstrap.servers": "host:9092"}, "file.config")
    if outcome is None:
        assert look().facts is None
    else:
        with pytest.raises(UsageError, match="it does not exist, and cannot be created: not allowed"):
            look()
    assert (admin.creations, admin.validations) == (0, 1)
    assert made[0]["allow.auto.create.topics"] is False


@pytest.mark.parametrize("failure", [SLOW, GONE, NO_CONTROLLER])
def test_creating_a_topic_is_tried_again(
    check: Check, monkeypatch: pytest.MonkeyPatch, failure: KafkaException
) -> None:
    monkeypatch.setattr(probe_module, "PROBE_TIMEOUT_S", 0.3)
    admin = FakeAdmin(failure)
    with pytest.raises(UsageError, match=failure.args[0].str()):
        check(FakeClient({}, [UNKNOWN] * 9), admin)
    assert admin.creations > 1


def test_a_topic_without_partitions_is_waited_for(check: Check, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe_module, "PROBE_TIMEOUT_S", 0.0)
    with pytest.raises(UsageError, match=r"it has no partitions\); check"):
        check(FakeClient({}), FakeAdmin())


def test_leaders_that_nobody_can_reach_are_waited_for(check: Check, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe_module, "PROBE_TIMEOUT_S", 0.0)
    with pytest.raises(UsageError, match=r"too slow\); check"):
        check(FakeClient(TWO_PARTITIONS), FakeAdmin(newest=SLOW))


@pytest.mark.parametrize("question", ["described", "configured"])
def test_a_broker_that_leaves_while_it_is_asked_has_not_answered(
    check: Check, monkeypatch: pytest.MonkeyPatch, question: str
) -> None:
    monkeypatch.setattr(probe_module, "PROBE_TIMEOUT_S", 0.0)
    with pytest.raises(UsageError, match="the broker left"):
        check(FakeClient(TWO_PARTITIONS), FakeAdmin(**{question: GONE}))


def test_a_topic_that_this_user_may_not_write_to(check: Check) -> None:
    admin = FakeAdmin(described=SimpleNamespace(topic_id=ID, authorized_operations=[AclOperation.DESCRIBE]))
    with pytest.raises(UsageError, match=r"file.config\): .*do not allow this user to write; grant .* Write"):
        check(FakeClient(TWO_PARTITIONS), admin)


def test_what_may_not_be_asked_is_told_once_and_left_to_the_upload(check: Check) -> None:
    facts, findings = check(FakeClient(TWO_PARTITIONS), FakeAdmin(None, FORBIDDEN, FORBIDDEN))
    assert (facts.topic_id, facts.settings, facts.operations) == ("", None, None)
    (finding,) = findings
    assert finding.severity is Severity.WARNING
    assert "cannot be looked at (not allowed)" in finding.text
    assert "DescribeConfigs" in finding.text


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
