"""A lane with several Kafka producers that take turns: how many, which gets what, and the order of versions."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException, Producer
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from dfud.core.version import FileVersion
from dfud.messages import FilesCompleted, FileUndelivered, RunReady
from dfud.uploading.long_line import LongLine, SharedLine, Turns, VersionOrder, long_line
from tests.helpers.producing import CHUNK, FATAL, TIMED_OUT, TOO_LARGE, ProducerHarness, digest

LINE = LongLine(n_producers=6, turn_bytes=2 * CHUNK, turn_messages=2, properties={})
IDEMPOTENT = {
    "enable.idempotence": True,
    "batch.size": 1_000_000,
    "message.max.bytes": 1_000_000,
    "queue.buffering.max.kbytes": 64_000,
}

MakeHarness = Callable[..., ProducerHarness]


@pytest.fixture
def harness(make_harness: MakeHarness) -> ProducerHarness:
    made = make_harness(line=LINE)
    assert made.line is not None
    made.line.set_busy(1, True)  # so that three of the six producers are used
    for producer in made.producers:
        producer.acknowledges = False
    made.new_acknowledge = False
    return made


def chunks(harness: ProducerHarness) -> list[list[str]]:
    """Return the chunks that each producer has got; nothing for those that are not used."""
    assert [producer.chunks for producer in harness.producers[3:] if producer.chunks] == []
    return [producer.chunks for producer in harness.producers[:3]]


def acknowledge(harness: ProducerHarness, *numbers: int) -> None:
    """Let these producers report everything that they hold as acknowledged."""
    for number in numbers:
        producer = harness.producers[number]
        producer.answers.extend([None] * len(producer))


@pytest.mark.parametrize(
    ("round_trip_s", "changed", "number"),
    [
        (0.05, {}, 16),
        (0.02, {}, 6),
        (1.0, {}, 32),
        (0.014, {}, 1),
        (0.0, {}, 1),
        (0.05, {"enable.idempotence": "TRUE"}, 16),
        (0.05, {"enable.idempotence": "false"}, 1),
        (0.05, {"queue.buffering.max.kbytes": "3000"}, 3),
        (0.05, {"queue.buffering.max.kbytes": 1500}, 1),
    ],
)
def test_the_longer_a_round_trip_the_more_producers(
    round_trip_s: float, changed: dict[str, Any], number: int
) -> None:
    line = long_line(round_trip_s, {**IDEMPOTENT, **changed}, 16384, 0, 4)
    assert (1 if line is None else line.n_producers) == number


@pytest.mark.parametrize(
    ("chunk_size", "n_partitions", "turn_messages", "at_once", "turn_bytes"),
    [
        (16384, 4, 159, 57, 57 * 16384),
        (16384, 1, 57, 57, 57 * 16384),
        (1 << 19, 4, 5, 1, 2 << 19),
        (1 << 17, 4, 19, 7, 7 << 17),
        (1 << 21, 4, 5, 1, 1 << 21),
    ],
)
def test_a_batch_is_full_with_what_librdkafka_sends_at_once(
    chunk_size: int, n_partitions: int, turn_messages: int, at_once: int, turn_bytes: int
) -> None:
    line = long_line(0.05, IDEMPOTENT, chunk_size, 0, n_partitions)
    assert line is not None
    assert (line.turn_messages, line.turn_bytes) == (turn_messages, turn_bytes)
    assert line.properties == {"batch.num.messages": at_once}
    Producer({**IDEMPOTENT, **line.properties})  # librdkafka accepts them


def test_each_producer_gets_a_batch_and_nothing_more_before_that_is_acknowledged(harness: ProducerHarness) -> None:
    harness.step(*harness.file(1, bytes(95)))
    assert chunks(harness) == [["1/10", "2/10"], ["3/10", "4/10"], ["5/10", "6/10"]]
    harness.step()
    acknowledge(harness, 1)
    harness.step()
    assert chunks(harness)[1] == ["3/10", "4/10", "7/10", "8/10"]
    acknowledge(harness, 0, 1, 2)
    assert [type(message) for message in harness.step(seconds=0.1)].count(FilesCompleted) == 0
    acknowledge(harness, 0, 1, 2)
    assert FilesCompleted(((1, digest(bytes(95))),), True) in harness.steps(3, seconds=1.1)


def test_a_lane_uses_all_its_producers_while_no_other_has_anything_to_send(harness: ProducerHarness) -> None:
    line = harness.line
    assert line is not None
    harness.step(*harness.file(1, bytes(195)))
    assert len(harness.producers) == 4, "one more each time, for when it may be used"
    harness.steps(4)
    assert len(harness.producers) == 6
    assert chunks(harness) == [["1/20", "2/20"], ["3/20", "4/20"], ["5/20", "6/20"]]
    line.set_busy(1, False)
    harness.step()
    assert [each.chunks for each in harness.producers[3:]] == [
        ["7/20", "8/20"],
        ["9/20", "10/20"],
        ["11/20", "12/20"],
    ]
    line.set_busy(1, True)
    assert line.n_producers == 3, "for the other lane: this one has something to send, too"
    for _ in range(3):
        acknowledge(harness, *range(6))
        harness.step()
    assert line.n_producers == 6, "everything is acknowledged"


def test_a_small_window_is_dealt_to_all_producers(harness: ProducerHarness) -> None:
    harness.worker._sender._window.limit = 3 * CHUNK
    harness.step(*harness.file(1, bytes(95)))
    assert chunks(harness) == [["1/10"], ["2/10"], ["3/10"]]
    assert len(harness.producers) == 3, "another connection would be in the way"


def test_parts_of_a_window_are_not_kept_back_for_fuller_batches(harness: ProducerHarness) -> None:
    harness.worker._sender._window.limit = 3 * CHUNK
    harness.step(*harness.file(1, bytes(35)))
    harness.step()
    assert [each.flushed for each in harness.producers] == [[1], [1], [1]]


@pytest.mark.parametrize("chunks_of_window", [1.0, 3.0, 3.5, 4.0, 5.9])
def test_a_window_that_is_dealt_out_is_widened_although_a_message_more_would_fit(
    harness: ProducerHarness, chunks_of_window: float
) -> None:
    window = harness.worker._sender._window
    window.limit = before = round(chunks_of_window * CHUNK)
    harness.step(*harness.file(1, bytes(195)))
    acknowledge(harness, 0, 1, 2)
    harness.step()
    assert window.limit > before


def test_a_window_is_not_widened_while_all_producers_have_all_that_they_could(harness: ProducerHarness) -> None:
    window = harness.worker._sender._window
    window.limit = before = 8 * CHUNK
    harness.step(*harness.file(1, bytes(195)))
    acknowledge(harness, 0, 1, 2)
    harness.step()
    assert window.limit == before


def test_producers_that_cannot_be_made_are_done_without(
    harness: ProducerHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempts = []

    def fail(_properties: dict[str, Any]) -> None:
        attempts.append(1)
        raise KafkaException(KafkaError(KafkaError._CRIT_SYS_RESOURCE))

    monkeypatch.setattr(harness.worker._sender._client, "_factory", fail)
    harness.step(*harness.file(1, bytes(95)))
    harness.steps(3)
    assert attempts == [1]
    assert len(harness.producers) == 3
    acknowledge(harness, 0, 1, 2)
    harness.step()
    acknowledge(harness, 0, 1, 2)
    assert FilesCompleted(((1, digest(bytes(95))),), True) in harness.steps(3, seconds=1.1)


def test_a_turn_ends_when_there_is_nothing_more_to_send(harness: ProducerHarness) -> None:
    harness.step(*harness.file(1, bytes(5)))
    harness.step()
    harness.step(*harness.file(2, bytes(5)))
    assert chunks(harness) == [["1/1"], ["1/1"], []]


def test_a_message_that_is_larger_than_a_batch_is_a_turn() -> None:
    turns = Turns(SharedLine(LINE, 1), 0)
    first, second = [b"x"], list[bytes]()
    producers: Any = [first, second]
    assert turns.take(producers, 100, 1000)
    assert turns.number == 1
    second.append(b"x")
    assert not turns.take(producers, 100, 1000)
    first.clear()
    assert turns.take(producers, 100, 1000)
    assert turns.number == 0


def test_what_one_producer_did_not_deliver_is_sent_again_before_what_is_new(harness: ProducerHarness) -> None:
    harness.step(*harness.file(1, bytes(65)))
    harness.producers[0].answers.extend([TIMED_OUT, TIMED_OUT])
    harness.step()
    assert chunks(harness)[0] == ["1/7", "2/7", "7/7"]
    acknowledge(harness, 0, 1, 2)
    harness.step(seconds=0.3)
    assert sorted(chunk for each in chunks(harness) for chunk in each) == sorted(
        ["1/7", "2/7", *(f"{number}/7" for number in range(1, 8))]
    )
    acknowledge(harness, 0, 1, 2)
    assert FilesCompleted(((1, digest(bytes(65))),), True) in harness.steps(3, seconds=1.1)


def test_when_one_fails_for_good_all_are_replaced(harness: ProducerHarness) -> None:
    harness.step(*harness.file(1, bytes(55)))
    assert len(harness.producers) == 3
    harness.on_error(FATAL)
    harness.new_acknowledge = True
    harness.steps(2, seconds=0.3)
    assert len(harness.producers) == 6
    assert [len(each) for each in harness.producers] == [0, 0, 0, 0, 0, 0]
    assert FilesCompleted(((1, digest(bytes(55))),), True) in harness.steps(3, seconds=1.1)


def test_what_produce_itself_refuses_fails_its_file_and_leaves_the_turn(harness: ProducerHarness) -> None:
    harness.producers[0].produce_errors.append(TOO_LARGE)
    reported = harness.step(*harness.file(1, bytes(25)), *harness.file(2, bytes(5)))
    assert [message.token for message in reported if isinstance(message, FileUndelivered)] == [1]
    assert chunks(harness) == [["1/1"], [], []]


def test_many_paths_are_forgotten_once_all_is_acknowledged() -> None:
    order = VersionOrder()
    assert not any(order.has_to_wait(b"%d" % number) for number in range(10_000))
    assert order.has_to_wait(b"another")
    assert not order.has_to_wait(b"0")
    assert order.has_to_wait(b"another")


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("file"), st.integers(0, 2), st.integers(1, 35)),
        st.tuples(st.just("acknowledge"), st.integers(0, 5), st.just(0)),
    ),
    max_size=25,
)


@given(STEPS)
def test_versions_of_a_file_reach_the_topic_in_their_order(steps: list[tuple[str, int, int]]) -> None:
    with (
        tempfile.TemporaryDirectory() as folder,
        closing(ProducerHarness(Path(folder), line=LINE)) as harness,
    ):
        topic: list[int] = []  # tokens, one for each message
        paths: list[int] = []  # by token

        def step(*numbers: int, runs: tuple[RunReady, ...] = ()) -> None:
            for number in numbers:
                producer = harness.producers[number]
                topic.extend((message.value() or b"")[0] for message, _ in producer.queue)
            acknowledge(harness, *numbers)
            harness.step(*runs)

        harness.new_acknowledge = False
        for producer in harness.producers:
            producer.acknowledges = False
        for kind, number, size in steps:
            if kind == "acknowledge":
                step(number % len(harness.producers))
            else:
                token = len(paths)
                paths.append(number)
                (run,) = harness.file(token, bytes([token]) * size)
                assert run.file is not None
                version = FileVersion(b"%d" % number, size, token)
                step(runs=(replace(run, file=replace(run.file, version=version)),))
        for _ in range(100):
            step(*range(len(harness.producers)))
        assert set(topic) == set(range(len(paths)))
        for path in range(3):
            of_path = [token for token in topic if paths[token] == path]
            assert of_path == sorted(of_path)
