"""What becomes of each message, with librdkafka's faults injected by a producer of the test's own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from dfud.messages import BrokerOutage, ChunksAcked, DeliveryGivenUp, Drain, FilesCompleted, FileUndelivered
from dfud.uploading.offset_proof import TRUSTED_AFTER
from tests.helpers.producing import (
    ALL_DOWN,
    FATAL,
    FORBIDDEN,
    NO_OFFSET,
    TIMED_OUT,
    TOO_LARGE,
    ProducerHarness,
    digest,
    events,
    texts,
    types,
)

MakeHarness = Callable[..., ProducerHarness]


# Refused and retried


def test_what_the_broker_refuses_fails_its_file_and_no_other(harness: ProducerHarness) -> None:
    harness.producer.answers.extend([None, FORBIDDEN, None, None])
    harness.step(*harness.file(1, bytes(25)), *harness.file(2, bytes(5)))
    acked, undelivered = events(harness.step())
    assert acked == ChunksAcked(1, ((1, 1),))
    assert isinstance(undelivered, FileUndelivered)
    assert undelivered.token == 1
    assert "grant the operation Write on the topic" in undelivered.reason
    assert FilesCompleted(((2, digest(bytes(5))),), True) in harness.step(seconds=1.1)
    assert len(harness.producer.sent) == 4


def test_what_produce_itself_refuses_fails_its_file(harness: ProducerHarness) -> None:
    harness.producer.produce_errors.append(TOO_LARGE)
    assert types(harness.step(*harness.file(1, bytes(25)))) == [FileUndelivered]
    assert harness.producer.sent == []
    assert harness.ring.used == 0


def test_what_librdkafka_gives_up_on_is_sent_again_and_again(harness: ProducerHarness) -> None:
    data = bytes(range(25))
    harness.producer.answers.extend([None, TIMED_OUT, None])
    harness.step(*harness.file(1, data))
    assert events(harness.step()) == []
    assert len(harness.producer.sent) == 3
    harness.producer.answers.append(TIMED_OUT)
    harness.step(seconds=0.3)
    assert harness.producer.sent[3:] == [("2/3", data[10:20])]
    assert ChunksAcked(1, ((1, 1), (3, 3))) in harness.step(seconds=0.3)
    harness.step(seconds=0.6)
    assert len(harness.producer.sent) == 5
    harness.step()
    assert FilesCompleted(((1, digest(data)),), True) in harness.step(seconds=1.1)


def test_retries_go_before_chunks_that_wait(harness: ProducerHarness) -> None:
    data = bytes(range(50))
    harness.producer.room = 3
    harness.producer.acknowledges = False
    harness.step(*harness.file(1, data))
    assert harness.producer.chunks == ["1/5", "2/5", "3/5"]
    harness.producer.room = 0  # for all but the one in hand
    harness.producer.answers.extend([TIMED_OUT] * 3)
    harness.step()
    harness.producer.room = 1000
    harness.step(seconds=0.3)
    assert harness.producer.chunks[3:] == ["4/5", "1/5", "2/5", "3/5", "5/5"]


def test_an_empty_message_is_sent_again_as_one(harness: ProducerHarness) -> None:
    harness.producer.answers.append(TIMED_OUT)
    harness.step(*harness.file(1, b""))
    harness.step()
    harness.step(seconds=0.3)
    assert harness.producer.sent == [("1/1", b""), ("1/1", b"")]


def test_a_message_that_produce_does_not_take_yet_is_tried_again_after_a_pause(harness: ProducerHarness) -> None:
    harness.producer.produce_errors.append(KafkaError(KafkaError._UNKNOWN_TOPIC, "not known yet"))
    harness.step(*harness.file(1, bytes(15)))
    assert harness.producer.sent == []
    harness.step(seconds=0.1)
    assert harness.waits[-1] == pytest.approx(0.25 - 0.1)
    assert harness.producer.sent == []
    harness.step(seconds=0.2)
    assert harness.producer.chunks == ["1/2", "2/2"]


# Which acknowledgements count


def test_what_librdkafka_only_infers_to_be_written_is_sent_again(harness: ProducerHarness) -> None:
    """A later batch was acknowledged: librdkafka takes the ones before, which had failed, as written, too."""
    data = bytes(range(25))
    harness.producer.answers.extend([NO_OFFSET, None, None])
    harness.step(*harness.file(1, data))
    harness.step()
    harness.step(seconds=0.3)
    assert harness.producer.sent[3:] == [("1/3", data[:10])]
    harness.step()
    assert FilesCompleted(((1, digest(data)),), True) in harness.step(seconds=1.1)


def test_a_broker_that_never_reports_offsets_is_trusted_in_the_end(harness: ProducerHarness) -> None:
    data = bytes(1000)
    harness.producer.answers.extend([NO_OFFSET] * (TRUSTED_AFTER + 100))
    harness.step(*harness.file(1, data))
    messages = harness.steps(24, seconds=0.3) + harness.step(seconds=1.1)
    assert len(harness.producer.sent) == TRUSTED_AFTER + 100
    assert FilesCompleted(((1, digest(data)),), True) in messages


# Producers that fail permanently


def test_a_fatal_error_makes_a_new_producer_that_sends_what_the_old_one_held(harness: ProducerHarness) -> None:
    data = bytes(range(50))
    harness.producer.acknowledges = False
    harness.producer.answers.extend([None, None])
    harness.step(*harness.file(1, data))
    harness.step()
    harness.on_error(FATAL)
    assert texts(harness.step()) == [
        "the producer failed permanently (epoch gone (_FATAL)) and was replaced; what it held is sent again"
    ]
    assert len(harness.producers) == 2
    harness.steps(2)
    assert harness.producer.chunks == ["3/5", "4/5", "5/5"]
    assert FilesCompleted(((1, digest(data)),), True) in harness.step(seconds=1.1)


def test_each_fatal_error_of_a_producer_that_worked_is_reported_and_mended_at_once(
    harness: ProducerHarness,
) -> None:
    for token in (1, 2):
        harness.producer.answers.append(FATAL)
        harness.step(*harness.file(token, bytes(5)))
        assert len(texts(harness.step())) == 1
        assert harness.producer.chunks == ["1/1"]
        harness.step()
        assert len(harness.producers) == 1 + token


def test_a_fatal_error_that_produce_raises(harness: ProducerHarness) -> None:
    harness.producer.produce_errors.append(FATAL)
    harness.step(*harness.file(1, bytes(5)))
    assert len(harness.producers) == 1
    harness.step(seconds=0.25)
    assert len(harness.producers) == 2
    assert harness.producer.sent == [("1/1", bytes(5))]


def test_a_fatal_error_that_is_reported_twice_makes_one_new_producer(
    harness: ProducerHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of one message it is reported, for the next one `produce` raises it: the same producer has failed."""
    first = harness.producer
    first.answers.append(FATAL)
    produce = first.produce

    def fail_at_the_second(*arguments: Any, **named: Any) -> None:
        produce(*arguments, **named)
        first.produce_errors.append(FATAL)

    monkeypatch.setattr(first, "produce", fail_at_the_second)
    data = bytes(15)
    messages = harness.step(*harness.file(1, data)) + harness.steps(2, seconds=0.3) + harness.step(seconds=1.1)
    assert len(harness.producers) == 2
    assert FilesCompleted(((1, digest(data)),), True) in messages


def test_producers_that_fail_one_after_another_are_made_ever_more_slowly(harness: ProducerHarness) -> None:
    harness.fail_all(FATAL)
    harness.step(*harness.file(1, bytes(5)))
    messages = harness.steps(400, seconds=0.05)
    assert 5 <= len(harness.producers) <= 12
    assert len(texts(messages)) == 1
    assert types(messages) == [BrokerOutage]


def test_producers_that_fail_one_after_another_end_a_drain(harness: ProducerHarness) -> None:
    harness.fail_all(FATAL)
    harness.supervisor.post([Drain()])
    messages = harness.step(*harness.file(1, bytes(25))) + harness.steps(400, seconds=0.1)
    (undelivered,) = (message for message in messages if isinstance(message, FileUndelivered))
    assert "epoch gone" in undelivered.reason
    assert 5 <= len(harness.producers) <= 12


def test_one_more_failure_during_a_drain_costs_nothing(harness: ProducerHarness) -> None:
    harness.supervisor.post([Drain()])
    data = bytes(25)
    harness.step(*harness.file(1, data))
    messages = []
    for _ in range(3):
        harness.producer.answers.extend([FATAL] * 3)
        messages += harness.step(seconds=5)
    messages += harness.steps(3, seconds=0.5)
    assert FilesCompleted(((1, digest(data)),), True) in messages
    assert FileUndelivered not in types(messages)


def test_a_fatal_error_that_poll_raises(harness: ProducerHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    """confluent_kafka does that without calling error_cb; the delivery reports arrive later."""
    first = harness.producer
    first.acknowledges = False
    data = bytes(25)
    harness.step(*harness.file(1, data))
    poll, raised = first.poll, [FATAL]

    def raise_once(timeout: float) -> int:
        if raised:
            raise KafkaException(raised.pop())
        return poll(timeout)

    monkeypatch.setattr(first, "poll", raise_once)
    messages = harness.steps(2) + harness.step(seconds=1.1)
    assert sum("epoch gone" in text for text in texts(messages)) == 1
    assert FilesCompleted(((1, digest(data)),), True) in messages


def test_a_producer_that_is_not_allowed_at_all_fails_what_it_holds_and_is_replaced(
    harness: ProducerHarness,
) -> None:
    """An idempotent producer without the right to write fails permanently; a later one may have that right."""
    harness.producer.acknowledges = False
    harness.step(*harness.file(1, bytes(25)))
    harness.on_error(KafkaError(KafkaError.CLUSTER_AUTHORIZATION_FAILED, "not allowed", fatal=True))
    (undelivered,) = events(harness.step())
    assert isinstance(undelivered, FileUndelivered)
    assert "grant the operation Write on the topic" in undelivered.reason
    messages = harness.step(*harness.file(2, b"s")) + harness.step() + harness.step(seconds=1.1)
    assert FilesCompleted(((2, digest(b"s")),), True) in messages
    assert texts(messages) == []


def test_a_cached_refusal_is_believed_for_a_second(harness: ProducerHarness) -> None:
    """librdkafka refuses at once what was refused before, and asks the broker again only after minutes."""
    harness.now += 0.5
    harness.producer.produce_errors.append(FORBIDDEN)
    assert types(harness.step(*harness.file(1, b"s"))) == [FileUndelivered]
    harness.now += 1.0
    harness.producer.produce_errors.append(FORBIDDEN)
    messages = harness.step(*harness.file(2, b"s")) + harness.step() + harness.step(seconds=1.1)
    assert FilesCompleted(((2, digest(b"s")),), True) in messages
    assert len(harness.producers) == 2
    harness.producer.produce_errors.append(TOO_LARGE)  # a message does not become smaller with time
    assert FileUndelivered in types(harness.step(*harness.file(3, b"s")))
    assert len(harness.producers) == 2


# Draining


def test_during_a_drain_a_message_that_timed_out_is_undelivered(harness: ProducerHarness) -> None:
    harness.producer.answers.extend([None, TIMED_OUT, TIMED_OUT])
    harness.supervisor.post([Drain()])
    harness.step(*harness.file(1, bytes(25)))
    assert events(harness.step(seconds=10)) == [
        ChunksAcked(1, ((1, 1),)),
        FileUndelivered(
            1,
            "timed out (_MSG_TIMED_OUT); the broker did not acknowledge it within message.timeout.ms",
        ),
    ]


@pytest.mark.parametrize("name", ["message.timeout.ms", "delivery.timeout.ms"])
def test_everything_is_given_up_after_a_timeout_without_any_acknowledgement(
    make_harness: MakeHarness, name: str
) -> None:
    harness = make_harness(**{name: "20000"})
    harness.producer.acknowledges = False
    harness.supervisor.post([Drain()])
    harness.step(*harness.file(1, bytes(5)), *harness.file(2, bytes(5)))
    harness.producer.answers.extend([TIMED_OUT, TIMED_OUT])
    assert types(harness.step(seconds=20)) == [FileUndelivered, DeliveryGivenUp, FileUndelivered]


def test_without_a_timeout_nothing_else_is_given_up(make_harness: MakeHarness) -> None:
    harness = make_harness(**{"message.timeout.ms": 0})
    harness.producer.answers.append(KafkaError(KafkaError.NOT_ENOUGH_REPLICAS))
    harness.supervisor.post([Drain()])
    harness.step(*harness.file(1, bytes(5)))
    assert types(harness.step(seconds=1000)) == [FileUndelivered]


# Batches that are too large


def test_a_batch_that_is_too_large_is_sent_again_in_smaller_ones(make_harness: MakeHarness) -> None:
    harness = make_harness(**{"batch.size": 100, "message.max.bytes": 80})
    harness.producer.answers.extend([TOO_LARGE] * 3)
    data = bytes(range(25))
    messages = harness.step(*harness.file(1, data)) + harness.step()
    assert len(harness.producers) == 2
    assert harness.producer.properties["batch.size"] == 40
    messages += harness.step() + harness.step(seconds=1.1)
    assert events(messages) == [FilesCompleted(((1, digest(data)),), True)]
    assert sum("reducing batches" in text for text in texts(messages)) == 1
    assert harness.producer.sent == [("1/3", data[:10]), ("2/3", data[10:20]), ("3/3", data[20:])]


@pytest.mark.parametrize("drains", [False, True], ids=["running", "draining"])
def test_a_message_that_is_too_large_alone_fails_its_file_and_no_other(
    make_harness: MakeHarness, drains: bool
) -> None:
    """The large ones are refused in any batch; the small ones are accepted without them."""
    harness = make_harness(**{"batch.size": 1000, "message.max.bytes": 1000})
    if drains:
        harness.supervisor.post([Drain()])
    harness.step(*harness.file(1, bytes(10)), *harness.file(2, b"s"))
    messages = []
    for _ in range(12):
        harness.producer.answers.clear()
        harness.producer.answers.extend(
            TOO_LARGE
            if len(message.value() or b"") == 10 or harness.producer.properties["batch.size"] > 15
            else None
            for message, _ in harness.producer.queue
        )
        messages += harness.step(seconds=0.5)
    undelivered = [message for message in messages if isinstance(message, FileUndelivered)]
    assert [message.token for message in undelivered] == [1]
    assert "max.message.bytes" in undelivered[0].reason
    assert FilesCompleted(((2, digest(b"s")),), True) in messages
    assert harness.producer.properties["batch.size"] in (7, 15)


# Outages


def test_an_outage_and_its_end_are_reported(harness: ProducerHarness) -> None:
    harness.producer.acknowledges = False
    harness.step(*harness.file(1, bytes(5)))
    harness.on_error(ALL_DOWN)
    assert events(harness.step(seconds=1.1)) == [BrokerOutage("1/1 brokers are down")]
    harness.producer.answers.append(None)
    assert events(harness.step()) == [BrokerOutage("")]


def test_the_topic_is_asked_why_nothing_is_acknowledged(
    harness: ProducerHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dfud.uploading.sender.topic_trouble", lambda topic, properties: f"{topic} has no leader")
    harness.producer.acknowledges = False
    harness.step(*harness.file(1, bytes(5)))
    (outage,) = harness.step(seconds=6)
    assert outage == BrokerOutage("nothing has been acknowledged for 6 s: topic has no leader")


def test_messages_that_wait_to_be_sent_again_count_as_unacknowledged(harness: ProducerHarness) -> None:
    harness.producer.answers.append(TIMED_OUT)
    harness.step(*harness.file(1, bytes(5)))
    harness.step()
    harness.on_error(ALL_DOWN)
    harness.now += 0.1
    harness.step()
    assert len(harness.producer) == 0
    harness.producer.acknowledges = False
    assert BrokerOutage("1/1 brokers are down") in harness.steps(2, seconds=1.1)
