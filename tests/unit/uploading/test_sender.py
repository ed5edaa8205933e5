"""What becomes of each message, with librdkafka's faults injected by a producer of the test's own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from dfud.core.native import MESSAGE_OVERHEAD
from dfud.kafka.topic_watch import TopicState
from dfud.messages import (
    BrokerOutage,
    BrokerSlow,
    ChunksAcked,
    DeliveryGivenUp,
    Drain,
    FilesCompleted,
    FileUndelivered,
    TopicHarmed,
)
from dfud.uploading.offset_proof import TRUSTED_AFTER
from tests.helpers.producing import (
    ALL_DOWN,
    FATAL,
    FORBIDDEN,
    NO_OFFSET,
    REFUSED,
    TIMED_OUT,
    TOO_LARGE,
    TOPIC_ID,
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
    harness.producer.room = 1  # for none but the one that is left
    harness.producer.answers.extend([TIMED_OUT] * 2)
    harness.step()
    harness.producer.room = 1000
    harness.step(seconds=0.3)
    assert harness.producer.chunks[3:] == ["4/5", "1/5", "2/5", "5/5"]


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


def test_chunks_that_are_too_large_for_a_request_fail_their_file_and_no_other(
    make_harness: MakeHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The broker closes the connection on which it receives one, says nothing, and answers all else."""
    harness = make_harness()
    monkeypatch.setattr("dfud.uploading.checkup.request_limit", lambda properties: MESSAGE_OVERHEAD + 8)
    harness.producer.acknowledges = False
    harness.step(*harness.file(1, bytes(10)), *harness.file(2, b"s"))
    harness.on_error(ALL_DOWN)
    harness.step(seconds=1.1)
    assert len(harness.producers) == 2
    harness.producer.acknowledges = True
    messages = harness.steps(3, seconds=0.3) + harness.step(seconds=1.1)
    (undelivered,) = (message for message in messages if isinstance(message, FileUndelivered))
    assert (undelivered.token, undelivered.is_too_large) == (1, True)
    assert f"socket.request.max.bytes = {MESSAGE_OVERHEAD + 8}" in undelivered.reason
    assert FilesCompleted(((2, digest(b"s")),), True) in messages
    assert BrokerOutage not in types(messages)


def test_a_message_that_takes_a_slow_line_longer_than_librdkafka_waits_is_waited_for(
    harness: ProducerHarness,
) -> None:
    harness.producer.acknowledges = False
    harness.step(*harness.file(1, bytes(5)))
    for _ in range(20):
        harness.on_error(ALL_DOWN)
        harness.step(seconds=10)
        harness.producer.acknowledges = False
    assert len(harness.producers) == 3
    assert harness.producer.properties["socket.timeout.ms"] == 240_000


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


class Watch:
    """Says once asked that the topic has a certain id."""

    topic_id = ""

    def __init__(self, properties: object, topic: str) -> None:
        assert topic == "topic"

    def poll(self) -> TopicState | None:
        return TopicState(self.topic_id, (0,)) if self.topic_id else None


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> type[Watch]:
    """The broker's answer to the question which topic it is: none at first."""
    monkeypatch.setattr("dfud.uploading.topic_doubt.TopicWatch", Watch)
    monkeypatch.setattr(Watch, "topic_id", "")
    return Watch


def test_no_file_is_complete_once_another_topic_acknowledges(harness: ProducerHarness, watch: type[Watch]) -> None:
    harness.producer.acknowledges = False
    harness.producer.answers.append(None)
    harness.step(*harness.file(1, bytes(15)), *harness.file(2, b""))
    harness.step()
    harness.producer.end = 0  # the partition is a new one
    harness.producer.acknowledges = True
    assert FilesCompleted not in types(harness.steps(20, seconds=0.3))
    watch.topic_id = "another"
    (harm,) = events(harness.steps(2))
    assert isinstance(harm, TopicHarmed)
    assert (harm.is_anew, harm.topic_id) == (True, "another")
    assert "made anew" in harm.text


def test_the_same_topic_may_acknowledge_in_another_order(harness: ProducerHarness, watch: type[Watch]) -> None:
    harness.step(*harness.file(1, bytes(15)), *harness.file(2, b""))
    harness.producer.end = 0  # as two brokers that led it one after the other may answer
    watch.topic_id = TOPIC_ID
    assert len([each for each in harness.steps(20, seconds=0.3) if isinstance(each, FilesCompleted)]) == 1
    assert TopicHarmed not in types(harness.steps(5, seconds=0.3))


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
    assert types(messages) == [BrokerSlow]


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


def test_during_a_drain_what_times_out_is_sent_again_while_acknowledgements_come(
    make_harness: MakeHarness,
) -> None:
    """It has only waited for its turn: the broker is slow, or a quota holds it back."""
    harness = make_harness(**{"message.timeout.ms": "10000"})
    data = bytes(25)
    harness.producer.acknowledges = False
    harness.supervisor.post([Drain()])
    harness.step(*harness.file(1, data))
    messages = []
    for answers in ([TIMED_OUT, TIMED_OUT, None], [TIMED_OUT, None]):
        harness.producer.answers.extend(answers)
        messages += harness.steps(2, seconds=4)
    harness.producer.acknowledges = True
    messages += harness.steps(3, seconds=4)
    assert FilesCompleted(((1, digest(data)),), True) in messages
    assert FileUndelivered not in types(messages)


def test_an_acknowledgement_in_another_lane_counts(make_harness: MakeHarness) -> None:
    harness = make_harness(**{"message.timeout.ms": "10000"})
    harness.producer.acknowledges = False
    harness.supervisor.post([Drain()])
    harness.step(*harness.file(1, bytes(5)))
    harness.last_ack.advance(harness.now + 9)
    harness.producer.answers.append(TIMED_OUT)
    assert FileUndelivered not in types(harness.step(seconds=10))
    assert DeliveryGivenUp not in types(harness.step(seconds=8))
    assert DeliveryGivenUp in types(harness.step(seconds=1))


@pytest.mark.parametrize("name", ["message.timeout.ms", "delivery.timeout.ms"])
def test_everything_is_given_up_after_a_timeout_without_any_acknowledgement(
    make_harness: MakeHarness, name: str
) -> None:
    harness = make_harness(**{name: "20000"})
    harness.producer.acknowledges = False
    harness.supervisor.post([Drain()])
    harness.step(*harness.file(1, bytes(5)), *harness.file(2, bytes(5)))
    harness.producer.answers.extend([TIMED_OUT, TIMED_OUT])
    first, given_up, second = events(harness.step(seconds=20))
    assert first == FileUndelivered(
        1, "timed out (_MSG_TIMED_OUT); the broker did not acknowledge it within message.timeout.ms", chunk=1
    )
    assert isinstance(second, FileUndelivered)
    assert isinstance(given_up, DeliveryGivenUp)
    assert FileUndelivered in types(harness.step(*harness.file(3, bytes(5)))), "found after that"


def test_without_a_timeout_everything_is_given_up_after_five_minutes(make_harness: MakeHarness) -> None:
    harness = make_harness(**{"message.timeout.ms": 0})
    harness.producer.acknowledges = False
    harness.producer.answers.append(KafkaError(KafkaError.NOT_ENOUGH_REPLICAS))
    harness.supervisor.post([Drain()])
    harness.step(*harness.file(1, bytes(5)))
    messages = harness.steps(25, seconds=10)
    assert types(messages) == [BrokerSlow]
    (given_up,) = (message for message in harness.steps(10, seconds=10) if isinstance(message, DeliveryGivenUp))
    assert given_up.reason


def test_a_chunk_that_never_fits_into_the_queue_fails_its_file_and_no_other(make_harness: MakeHarness) -> None:
    harness = make_harness(**{"queue.buffering.max.kbytes": 1})
    harness.producer.room = 0
    (undelivered,) = events(harness.step(*harness.file(1, bytes(25))))
    assert isinstance(undelivered, FileUndelivered)
    assert undelivered.is_too_large
    assert "queue.buffering.max.kbytes = 1" in undelivered.reason
    harness.producer.room = 1000
    messages = harness.step(*harness.file(2, b"s")) + harness.step() + harness.step(seconds=1.1)
    assert FilesCompleted(((2, digest(b"s")),), True) in messages


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
    harness.on_error(REFUSED)
    assert events(harness.step(seconds=1.1)) == [BrokerOutage("cannot connect to 127.0.0.1:1: Connection refused")]
    harness.producer.answers.append(None)
    assert events(harness.step()) == [BrokerOutage("")]


def test_the_topic_is_asked_why_nothing_is_acknowledged(
    harness: ProducerHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dfud.uploading.checkup.topic_trouble", lambda topic, properties: f"{topic} has no leader")
    harness.producer.acknowledges = False
    harness.step(*harness.file(1, bytes(5)))
    (outage,) = harness.step(seconds=6)
    assert outage == BrokerOutage("nothing has been acknowledged for 6 s: topic has no leader")


def test_messages_that_wait_to_be_sent_again_count_as_unacknowledged(harness: ProducerHarness) -> None:
    harness.producer.answers.append(TIMED_OUT)
    harness.step(*harness.file(1, bytes(5)))
    harness.step()
    harness.on_error(ALL_DOWN)
    harness.on_error(REFUSED)
    harness.now += 0.1
    harness.step()
    assert len(harness.producer) == 0
    harness.producer.acknowledges = False
    assert BrokerOutage("cannot connect to 127.0.0.1:1: Connection refused") in harness.steps(2, seconds=1.1)
