"""The producer's side of a lane, with librdkafka's faults injected by a producer of the test's."""

from __future__ import annotations

import contextlib
import os
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import xxhash
from confluent_kafka import KafkaError, KafkaException

from dfud.core.version import FileVersion
from dfud.logs.completed.shards import ShardWriter
from dfud.logs.layout import LogsFolder
from dfud.messages import (
    BrokerOutage,
    ChunkerToProducer,
    ChunksAcked,
    DeliveryGivenUp,
    Drain,
    FileDropped,
    FilesCompleted,
    FileStart,
    FileUndelivered,
    FromProducer,
    Notice,
    Ranges,
    RowsRecorded,
    RunReady,
    SpaceAbandoned,
    SpaceFreed,
    Stop,
)
from dfud.processes import links
from dfud.processes.channel import Channel
from dfud.processes.packing import pack
from dfud.uploading import producer
from dfud.uploading.producer import ProducerSettings, ProducerWorker
from dfud.uploading.ring import Ring
from dfud.uploading.wire import NATIVE

CHUNK = 10
TIMED_OUT = KafkaError(KafkaError._MSG_TIMED_OUT, "timed out")
FORBIDDEN = KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED, "not allowed")
TOO_LARGE = KafkaError(KafkaError.MSG_SIZE_TOO_LARGE, "too large")
CONCLUDED = KafkaError(KafkaError.NO_ERROR, "stands for an acknowledgement without an offset")
FATAL = KafkaError(KafkaError._FATAL, "epoch gone", fatal=True)


class FakeMessage:
    def __init__(self, value: bytes) -> None:
        self._value = value
        self.has_offset = True

    def offset(self) -> int | None:
        return 7 if self.has_offset else None

    def value(self) -> bytes | None:
        return self._value or None  # as librdkafka's has it for an empty one

    def key(self) -> bytes:
        return b"key"


class FakeProducer:
    """Takes messages as librdkafka does, and reports what the test says, one answer a message."""

    def __init__(self, properties: dict[str, Any], room: int = 1000) -> None:
        self.properties = properties
        self.room = room
        self.queue: deque[tuple[FakeMessage, dict[str, bytes], Callable[..., None]]] = deque()
        self.sent: list[tuple[str, bytes]] = []  # chunk, value
        self.answers: deque[KafkaError | None] = deque()  # of the next reports; None for an acknowledgement
        self.refuses: deque[KafkaError] = deque()  # raised by the next calls of produce
        self.acks_on_its_own = True
        self.flushed: list[int] = []  # messages that were there when it was told to keep nothing back

    def __len__(self) -> int:
        return len(self.queue)

    def produce(self, topic: str, value: bytes, key: bytes, on_delivery: Any, headers: Any) -> None:
        assert topic == "topic"
        if self.refuses:
            raise KafkaException(self.refuses.popleft())
        if len(self.queue) >= self.room:
            self.acks_on_its_own = True
            raise BufferError
        told = dict(headers)
        self.sent.append((told["chunk"].decode(), value))
        self.queue.append((FakeMessage(value), told, on_delivery))

    def poll(self, timeout: float) -> int:
        count = 0
        while self.queue and (self.answers or self.acks_on_its_own):
            message, _, report = self.queue.popleft()
            answer = self.answers.popleft() if self.answers else None
            message.has_offset = answer is not CONCLUDED
            report(None if answer is CONCLUDED else answer, message)
            count += 1
        return count

    def flush(self, timeout: float) -> int:
        self.flushed.append(len(self.queue))
        self.poll(timeout)
        return len(self)

    def purge(self) -> None:
        self.acks_on_its_own = True
        self.answers = deque([KafkaError(KafkaError._PURGE_QUEUE)] * len(self.queue))


class Bench:
    """A lane with the test in the supervisor's and the chunker's places."""

    def __init__(self, top: Path, lingers_by_load: bool = True, **properties: Any) -> None:
        self.now = 1000.0
        self.supervisor, self._to_supervisor = Channel.pair(links.PRODUCER)
        self.chunker, self._to_chunker = Channel.pair(links.LANE)
        self.ring = Ring(1000)
        self.folder = LogsFolder(str(top), "topic")
        os.makedirs(self.folder.path)
        self.producers: list[FakeProducer] = []
        self.lane = ProducerWorker(
            self._to_supervisor,
            self._to_chunker,
            self.ring,
            ShardWriter(self.folder, 0, 1),
            ProducerSettings("topic", properties, lingers_by_load, NATIVE),
            self.make,  # type: ignore[arg-type]
            lambda: self.now,
        )

    def make(self, properties: dict[str, Any]) -> FakeProducer:
        self.producers.append(FakeProducer(properties))
        return self.producers[-1]

    @property
    def producer(self) -> FakeProducer:
        return self.producers[-1]

    def close(self) -> None:
        for channel in (self.supervisor, self._to_supervisor, self.chunker, self._to_chunker):
            channel.close()

    def file(self, token: int, data: bytes, delivered: Ranges = (), whole: bool = True) -> list[RunReady]:
        """Return what a chunker would hand on of a file, its bytes in the ring."""
        version = FileVersion(b"file%d" % token, len(data), 1)
        count = max(1, -(-len(data) // CHUNK))
        start, end = self.ring.reserve(len(data)) or (-1, -1)
        with self.ring.view(start, len(data)) as view:
            view[:] = data
        pieces = [data[at * CHUNK : (at + 1) * CHUNK] for at in range(count)]
        digests = "".join(xxhash.xxh3_64_hexdigest(piece) for piece in pieces).encode()
        digest = xxhash.xxh3_128_hexdigest(data) if whole else ""
        file = FileStart(token, version, CHUNK, delivered, "then", b"")
        return [RunReady(token, 1, count, start, len(data), end, digests, digest, file)]

    def run_once(self, *handed: ChunkerToProducer, seconds: float = 0.0) -> list[FromProducer]:
        """Have one turn done, with something from the chunker; return what the supervisor is told."""
        self.now += seconds
        if handed:
            self.chunker.post(handed)
        self.supervisor._socket.send(b"\3" + pack([]))  # wake it up
        self.lane.run_once()
        return self.told()

    def told(self) -> list[FromProducer]:
        told: list[FromProducer] = []
        while batch := self.supervisor.receive(wait=False):
            told += batch
        return told

    def table(self) -> str:
        text = ""
        for path in self.folder.shards():
            with open(path) as file:
                text += file.read()
        return text


@pytest.fixture(autouse=True)
def no_look_at_the_topic(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have nobody look for a broker that there is not."""
    monkeypatch.setattr(producer, "topic_trouble", lambda topic, properties: "")


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with contextlib.closing(Bench(tmp_path)) as made:
        yield made


def texts(told: list[FromProducer]) -> list[str]:
    return [message.text for message in told if isinstance(message, Notice)]


def events(told: list[FromProducer]) -> list[FromProducer]:
    return [message for message in told if not isinstance(message, Notice)]


def digest(data: bytes) -> str:
    return xxhash.xxh3_128_hexdigest(data)


def test_a_file_is_complete_when_all_is_acknowledged_and_its_row_on_disk(bench: Bench) -> None:
    data = bytes(range(25))
    assert events(bench.run_once(*bench.file(1, data))) == []
    assert bench.producer.sent == [("1/3", data[:10]), ("2/3", data[10:20]), ("3/3", data[20:])]
    assert bench.ring.used == 0
    assert events(bench.run_once()) == []  # acknowledged now; rows are written a second later
    assert bench.table() == ""
    assert events(bench.run_once(seconds=1.1)) == [FilesCompleted(((1, digest(data)),), True)]
    assert f"file1,25,1,3,10,{digest(data)},then," in bench.table()


def test_progress_is_told_in_between(bench: Bench) -> None:
    bench.producer.acks_on_its_own = False
    bench.producer.answers.extend([None, None])
    bench.run_once(*bench.file(1, bytes(45)))
    bench.run_once()
    assert events(bench.run_once(seconds=0.6)) == [ChunksAcked(1, ((1, 2),))]
    assert events(bench.run_once(seconds=0.6)) == []


def test_what_an_earlier_run_has_had_acknowledged_counts(bench: Bench) -> None:
    (run,) = bench.file(1, bytes(25), delivered=((1, 3),))
    bench.run_once(RunReady(1, 3, 0, 0, 0, 0, b"", digest(bytes(25)), run.file))
    assert bench.producer.sent == []
    assert events(bench.run_once(seconds=1.1)) == [FilesCompleted(((1, digest(bytes(25))),), True)]


def test_a_full_queue_of_librdkafka_is_waited_for(bench: Bench) -> None:
    bench.producer.room = 2
    data = bytes(100)
    bench.run_once(*bench.file(1, data))
    assert len(bench.producer.sent) == 10
    bench.run_once()
    assert events(bench.run_once(seconds=1.1)) == [FilesCompleted(((1, digest(data)),), True)]


def test_what_comes_after_a_pause_is_sent_at_once(bench: Bench) -> None:
    bench.run_once(*bench.file(1, bytes(25)))
    assert bench.producer.flushed == []
    bench.lane.run_once()  # which waits for nothing
    assert bench.producer.flushed == [3]


def test_a_stream_is_sent_when_it_halts(bench: Bench) -> None:
    bench.producer.acks_on_its_own = False
    for token in range(1, 5):
        bench.run_once(*bench.file(token, bytes(25)), seconds=0.01)
    assert bench.producer.flushed == []
    bench.lane.run_once()
    assert bench.producer.flushed == [12]
    bench.producer.acks_on_its_own = True
    bench.run_once(seconds=0.01)
    assert bench.producer.flushed == [12]


def test_a_full_queue_is_sent_though_the_stream_goes_on(bench: Bench) -> None:
    bench.producer.room = 2
    bench.producer.acks_on_its_own = False
    bench.run_once(*bench.file(1, bytes(50)))
    assert bench.producer.flushed == [2, 2]
    assert len(bench.producer.sent) == 5


def test_a_linger_that_the_user_has_set_is_kept(tmp_path: Path) -> None:
    with contextlib.closing(Bench(tmp_path, lingers_by_load=False)) as bench:
        bench.producer.acks_on_its_own = False
        bench.run_once(*bench.file(1, bytes(25)))
        bench.lane.run_once()
        assert bench.producer.flushed == []


def test_the_chunker_is_woken_only_if_it_waits(bench: Bench) -> None:
    bench.run_once(*bench.file(1, bytes(10)))
    assert bench.chunker.receive(wait=False) == ()
    handed = bench.file(2, bytes(10))
    bench.ring.set_waiting(True)
    bench.run_once(*handed)
    assert bench.chunker.receive(wait=False) == [SpaceFreed()]
    _, end = bench.ring.reserve(100) or (0, 0)
    bench.run_once(SpaceAbandoned(end))
    assert bench.ring.used == 0


def test_what_the_broker_refuses_fails_its_file_and_no_other(bench: Bench) -> None:
    bench.producer.answers.extend([None, FORBIDDEN, None, None])
    bench.run_once(*bench.file(1, bytes(25)), *bench.file(2, bytes(5)))
    told = events(bench.run_once())
    assert told[0] == ChunksAcked(1, ((1, 1),))
    assert isinstance(told[1], FileUndelivered)
    assert told[1].token == 1
    assert "have the user allowed to write" in told[1].why
    assert [type(message) for message in told] == [ChunksAcked, FileUndelivered]
    assert FilesCompleted(((2, digest(bytes(5))),), True) in bench.run_once(seconds=1.1)
    assert len(bench.producer.sent) == 4


def test_what_produce_itself_refuses_fails_its_file(bench: Bench) -> None:
    bench.producer.refuses.append(TOO_LARGE)
    told = events(bench.run_once(*bench.file(1, bytes(25))))
    assert [type(message) for message in told] == [FileUndelivered]
    assert bench.producer.sent == []
    assert bench.ring.used == 0


def test_what_librdkafka_gives_up_on_is_sent_again_and_again(bench: Bench) -> None:
    data = bytes(range(25))
    bench.producer.answers.extend([None, TIMED_OUT, None])
    bench.run_once(*bench.file(1, data))
    assert events(bench.run_once()) == []
    assert len(bench.producer.sent) == 3
    bench.producer.answers.append(TIMED_OUT)
    bench.run_once(seconds=0.3)
    assert bench.producer.sent[3:] == [("2/3", data[10:20])]
    assert ChunksAcked(1, ((1, 1), (3, 3))) in bench.run_once(seconds=0.3)
    bench.run_once(seconds=0.6)
    assert len(bench.producer.sent) == 5
    bench.run_once()
    assert FilesCompleted(((1, digest(data)),), True) in bench.run_once(seconds=1.1)


def test_what_librdkafka_only_concludes_to_be_written_is_sent_again(bench: Bench) -> None:
    """A later batch was acknowledged: librdkafka takes the ones before, which had failed, as written, too."""
    data = bytes(range(25))
    bench.producer.answers.extend([CONCLUDED, None, None])
    bench.run_once(*bench.file(1, data))
    bench.run_once()
    bench.run_once(seconds=0.3)
    assert bench.producer.sent[3:] == [("1/3", data[:10])]
    bench.run_once()
    assert FilesCompleted(((1, digest(data)),), True) in bench.run_once(seconds=1.1)


def test_a_broker_without_offsets_is_believed_in_the_end(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(producer, "_TRUSTED_AFTER", 3)
    data = bytes(range(25))
    bench.producer.answers.extend([CONCLUDED] * 6)
    bench.run_once(*bench.file(1, data))
    bench.run_once()
    bench.run_once(seconds=0.3)
    assert len(bench.producer.sent) == 6
    bench.run_once()
    assert FilesCompleted(((1, digest(data)),), True) in bench.run_once(seconds=1.1)


def test_an_empty_message_is_sent_again_as_one(bench: Bench) -> None:
    bench.producer.answers.append(TIMED_OUT)
    bench.run_once(*bench.file(1, b""))
    bench.run_once()
    bench.run_once(seconds=0.3)
    assert bench.producer.sent == [("1/1", b""), ("1/1", b"")]


def test_nothing_new_is_taken_while_messages_wait_to_be_sent_again(bench: Bench) -> None:
    bench.producer.answers.append(TIMED_OUT)
    bench.run_once(*bench.file(1, bytes(5)))
    bench.run_once()
    bench.run_once(*bench.file(2, bytes(5)))
    assert [chunk for chunk, _ in bench.producer.sent] == ["1/1"]
    bench.run_once(seconds=0.3)
    bench.run_once()
    assert len(bench.producer.sent) == 3


def test_a_fatal_error_makes_a_new_producer_that_sends_what_the_old_one_held(bench: Bench) -> None:
    data = bytes(range(50))
    old = bench.producer
    old.acks_on_its_own = False
    old.answers.extend([None, None])
    bench.run_once(*bench.file(1, data))
    bench.run_once()
    old.properties["error_cb"](FATAL)
    told = bench.run_once()
    assert texts(told) == [
        "the producer failed for good (epoch gone (_FATAL)) and was replaced; what it held is sent again"
    ]
    assert len(bench.producers) == 2
    bench.run_once()
    bench.run_once()
    assert [chunk for chunk, _ in bench.producer.sent] == ["3/5", "4/5", "5/5"]
    assert FilesCompleted(((1, digest(data)),), True) in bench.run_once(seconds=1.1)


def test_a_fatal_error_that_produce_raises(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.producer.refuses.append(FATAL)
    bench.run_once(*bench.file(1, bytes(5)))
    assert len(bench.producers) == 2
    assert bench.producer.sent == [("1/1", bytes(5))]


def test_a_fatal_error_that_is_told_twice_makes_one_new_producer(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of one message it is reported, for the next one `produce` raises it: the same producer has failed."""
    first = bench.producer
    first.answers.append(FATAL)
    produce = first.produce

    def fail_at_the_second(*arguments: Any, **named: Any) -> None:
        produce(*arguments, **named)
        first.refuses.append(FATAL)

    monkeypatch.setattr(first, "produce", fail_at_the_second)
    data = bytes(15)
    told = bench.run_once(*bench.file(1, data)) + bench.run_once() + bench.run_once(seconds=1.1)
    assert len(bench.producers) == 2
    assert FilesCompleted(((1, digest(data)),), True) in told


def fail_always(bench: Bench) -> None:
    """Have every producer, this one and those that follow, fail for good."""
    make = bench.make

    def make_bad(properties: dict[str, Any]) -> FakeProducer:
        made = make(properties)
        made.answers.extend([FATAL] * 100)
        return made

    bench.lane._client._factory = make_bad  # type: ignore[assignment]
    bench.producer.answers.extend([FATAL] * 100)


def test_producers_that_fail_one_after_another_are_made_ever_more_slowly(bench: Bench) -> None:
    fail_always(bench)
    bench.run_once(*bench.file(1, bytes(5)))
    told = []
    for _ in range(400):
        told += bench.run_once(seconds=0.05)
    assert 5 <= len(bench.producers) <= 12
    assert len(texts(told)) == 1
    assert [type(message) for message in events(told)] == [BrokerOutage]


def test_producers_that_fail_one_after_another_end_when_all_is_to_end(bench: Bench) -> None:
    fail_always(bench)
    bench.supervisor.post([Drain()])
    told = bench.run_once(*bench.file(1, bytes(25)))
    for _ in range(400):
        told += bench.run_once(seconds=0.1)
    (undelivered,) = (message for message in events(told) if isinstance(message, FileUndelivered))
    assert "epoch gone" in undelivered.why
    assert 5 <= len(bench.producers) <= 12


def test_one_more_failure_while_all_is_to_end_costs_nothing(bench: Bench) -> None:
    bench.supervisor.post([Drain()])
    data = bytes(25)
    bench.run_once(*bench.file(1, data))
    told = []
    for _ in range(3):
        bench.producer.answers.extend([FATAL] * 3)
        told += events(bench.run_once(seconds=5))
    for _ in range(3):
        told += events(bench.run_once(seconds=0.5))
    assert FilesCompleted(((1, digest(data)),), True) in told
    assert not any(isinstance(message, FileUndelivered) for message in told)


def test_a_fatal_error_that_poll_raises(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """As confluent_kafka has it: no function is called, and the delivery reports come later."""
    first = bench.producer
    first.acks_on_its_own = False
    data = bytes(25)
    bench.run_once(*bench.file(1, data))
    poll, raised = first.poll, [FATAL]

    def raise_once(timeout: float) -> int:
        if raised:
            raise KafkaException(raised.pop())
        return poll(timeout)

    monkeypatch.setattr(first, "poll", raise_once)
    told = bench.run_once() + bench.run_once() + bench.run_once(seconds=1.1)
    assert sum("epoch gone" in text for text in texts(told)) == 1
    assert FilesCompleted(((1, digest(data)),), True) in told


def test_a_producer_that_is_not_allowed_at_all_fails_what_it_holds_and_is_replaced(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An idempotent producer without the right to write fails for good; a later one may have it."""
    first = bench.producer
    first.acks_on_its_own = False
    bench.run_once(*bench.file(1, bytes(25)))
    refusal = KafkaError(KafkaError.CLUSTER_AUTHORIZATION_FAILED, "not allowed", fatal=True)
    first.properties["error_cb"](refusal)
    told = events(bench.run_once())
    assert [type(message) for message in told] == [FileUndelivered]
    assert "have the user allowed" in told[0].why
    told = bench.run_once(*bench.file(2, b"s")) + bench.run_once() + bench.run_once(seconds=1.1)
    assert FilesCompleted(((2, digest(b"s")),), True) in told
    assert texts(told) == []


def test_a_refusal_out_of_memory_is_believed_for_a_second(bench: Bench) -> None:
    """librdkafka refuses at once what it has learned to be refused, and asks the broker again only in minutes."""
    bench.now += 0.5
    bench.producer.refuses.append(FORBIDDEN)
    assert [type(message) for message in events(bench.run_once(*bench.file(1, b"s")))] == [FileUndelivered]
    bench.now += 1.0
    bench.producer.refuses.append(FORBIDDEN)
    told = bench.run_once(*bench.file(2, b"s")) + bench.run_once() + bench.run_once(seconds=1.1)
    assert FilesCompleted(((2, digest(b"s")),), True) in told
    assert len(bench.producers) == 2
    bench.producer.refuses.append(TOO_LARGE)  # what is wrong with a message is no matter of time
    assert FileUndelivered in {type(message) for message in bench.run_once(*bench.file(3, b"s"))}
    assert len(bench.producers) == 2


# Ending


def test_after_closing_a_message_that_timed_out_is_undelivered(bench: Bench) -> None:
    bench.producer.answers.extend([None, TIMED_OUT, TIMED_OUT])
    bench.supervisor.post([Drain()])
    bench.run_once(*bench.file(1, bytes(25)))
    told = events(bench.run_once(seconds=10))
    assert told == [
        ChunksAcked(1, ((1, 1),)),
        FileUndelivered(
            1,
            "timed out (_MSG_TIMED_OUT); the broker did not acknowledge it within message.timeout.ms",
        ),
    ]


@pytest.mark.parametrize("name", ["message.timeout.ms", "delivery.timeout.ms"])
def test_after_a_whole_time_out_without_any_acknowledgement_all_is_given_up(tmp_path: Path, name: str) -> None:
    with contextlib.closing(Bench(tmp_path, **{name: "20000"})) as bench:
        bench.producer.acks_on_its_own = False
        bench.supervisor.post([Drain()])
        bench.run_once(*bench.file(1, bytes(5)), *bench.file(2, bytes(5)))
        bench.producer.answers.extend([TIMED_OUT, TIMED_OUT])
        told = events(bench.run_once(seconds=20))
        assert [type(message) for message in told] == [FileUndelivered, DeliveryGivenUp, FileUndelivered]


def test_without_a_time_out_nothing_else_is_given_up(tmp_path: Path) -> None:
    with contextlib.closing(Bench(tmp_path, **{"message.timeout.ms": 0})) as bench:
        bench.producer.answers.append(KafkaError(KafkaError.NOT_ENOUGH_REPLICAS))
        bench.supervisor.post([Drain()])
        bench.run_once(*bench.file(1, bytes(5)))
        told = events(bench.run_once(seconds=1000))
        assert [type(message) for message in told] == [FileUndelivered]


def test_leaving_writes_what_is_unwritten(bench: Bench) -> None:
    bench.run_once(*bench.file(1, bytes(5)))
    bench.run_once()
    bench.supervisor.post([Stop()])
    assert not bench.lane.run_once()
    assert events(bench.told()) == [FilesCompleted(((1, digest(bytes(5))),), True)]
    assert bench.table().count("\n") == 2


def test_leaving_does_not_wait_for_a_broker(bench: Bench) -> None:
    bench.producer.acks_on_its_own = False
    bench.producer.room = 3
    bench.supervisor.post([Stop()])
    bench.chunker.post(bench.file(1, bytes(100)))
    assert not bench.lane.run_once()


# Tables that can't be written


def test_rows_that_cannot_be_written_are_owed_and_written_later(bench: Bench) -> None:
    away = bench.folder.path + ".away"
    os.rename(bench.folder.path, away)
    bench.run_once(*bench.file(1, bytes(5)))
    bench.run_once()
    told = bench.run_once(seconds=1.1)
    assert events(told) == [FilesCompleted(((1, digest(bytes(5))),), False)]
    (text,) = texts(told)
    assert "the completed table cannot be written" in text
    bench.run_once(*bench.file(2, bytes(6)))
    bench.run_once()
    assert events(bench.run_once(seconds=2.1)) == [FilesCompleted(((2, digest(bytes(6))),), False)]
    os.rename(away, bench.folder.path)
    told = bench.run_once(seconds=2.1)
    assert events(told) == [RowsRecorded(2)]
    assert texts(told) == ["the completed table is written again"]
    assert bench.table().count("file") == 2 + 1  # and the header


def test_rows_lost_in_one_outage_are_not_counted_in_the_next(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dfud.logs.completed.shards.MAX_ROWS_WAITING", 2)
    away = bench.folder.path + ".away"
    for outage in range(2):
        os.rename(bench.folder.path, away)
        for number in range(4):
            bench.run_once(*bench.file(10 * outage + number, bytes(5)))
            bench.run_once()
            bench.run_once(seconds=2.1)
        os.rename(away, bench.folder.path)
        assert events(bench.run_once(seconds=2.1)) == [RowsRecorded(2)]


# Files that are begun again or dropped


def test_a_file_that_a_second_chunker_begins_again_while_its_acks_come(bench: Bench) -> None:
    """All is acknowledged while its first chunks are sent once more: complete once, and no trouble."""
    data = bytes(50)
    bench.producer.acks_on_its_own = False
    first = bench.file(1, data)
    bench.run_once(*first)
    again = bench.file(1, data)
    bench.producer.room = 6
    bench.run_once(*again)
    bench.run_once()
    told = events(bench.run_once(seconds=1.1))
    assert told.count(FilesCompleted(((1, digest(data)),), True)) == 1
    assert bench.ring.used == 0


def test_what_waits_to_be_sent_again_is_let_go_with_its_file(bench: Bench) -> None:
    bench.producer.answers.extend([TIMED_OUT, TIMED_OUT])
    bench.run_once(*bench.file(1, bytes(20), whole=False), FileDropped(1))
    bench.run_once()
    for _ in range(3):
        assert events(bench.run_once(seconds=10)) == []
    assert [chunk for chunk, _ in bench.producer.sent] == ["1/2", "2/2"]


def test_runs_of_an_unknown_file_only_free_their_room(bench: Bench) -> None:
    (run,) = bench.file(9, bytes(20))
    bench.run_once(msgspec.structs.replace(run, file=None))
    assert bench.producer.sent == []
    assert bench.ring.used == 0


# The broker's absence


def test_the_broker_is_away_and_back(bench: Bench) -> None:
    tell = bench.producer.properties["error_cb"]
    bench.producer.acks_on_its_own = False
    bench.run_once(*bench.file(1, bytes(5)))
    tell(KafkaError(KafkaError._TRANSPORT, "refused"))
    tell(KafkaError(KafkaError._ALL_BROKERS_DOWN, "1/1 brokers are down"))
    assert events(bench.run_once(seconds=0.5)) == []  # most are back at once
    tell(KafkaError(KafkaError._ALL_BROKERS_DOWN, "1/1 brokers are down"))
    assert bench.run_once(seconds=0.6) == [BrokerOutage("1/1 brokers are down")]
    assert bench.run_once(seconds=60) == []  # once
    bench.producer.answers.append(None)
    assert events(bench.run_once()) == [BrokerOutage("")]


def test_a_broker_that_was_down_while_nothing_waited_is_not_called_away(bench: Bench) -> None:
    bench.producer.properties["error_cb"](KafkaError(KafkaError._ALL_BROKERS_DOWN, "1/1 brokers are down"))
    assert events(bench.run_once(seconds=10)) == []
    bench.producer.acks_on_its_own = False
    bench.run_once(*bench.file(1, bytes(20)))
    bench.producer.answers.append(None)
    bench.run_once(seconds=0.5)
    assert events(bench.run_once(seconds=1.5)) == [ChunksAcked(1, ((1, 1),))]


@pytest.mark.parametrize(("trouble", "why"), [("no leader", ": no leader"), ("", "")])
def test_a_broker_that_acknowledges_nothing_is_away_too(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, trouble: str, why: str
) -> None:
    monkeypatch.setattr(producer, "topic_trouble", lambda topic, properties: trouble)
    bench.producer.acks_on_its_own = False
    bench.run_once(*bench.file(1, bytes(5)))
    assert events(bench.run_once(seconds=4)) == []
    assert bench.run_once(seconds=2) == [BrokerOutage(f"nothing has been acknowledged for 6 s{why}")]
    assert bench.run_once(seconds=60) == []


def test_a_slow_network_is_not_called_away_again_and_again(bench: Bench) -> None:
    bench.producer.acks_on_its_own = False
    bench.run_once(*bench.file(1, bytes(300)))
    told = []
    for _ in range(20):  # an acknowledgement every 8 s
        told += [message for message in bench.run_once(seconds=7) if isinstance(message, BrokerOutage)]
        bench.producer.answers.append(None)
        told += [message for message in bench.run_once(seconds=1) if isinstance(message, BrokerOutage)]
    assert [bool(message.why) for message in told] == [True, False]
    told = events(bench.run_once(seconds=20))
    assert any(isinstance(message, BrokerOutage) for message in told)


def test_nodes_that_die_again_and_again_are_told_each_time(bench: Bench) -> None:
    bench.producer.acks_on_its_own = False
    bench.run_once(*bench.file(1, bytes(300)))
    told = []
    for _ in range(4):
        bench.producer.properties["error_cb"](KafkaError(KafkaError._TRANSPORT, "disconnected"))
        told += [message for message in bench.run_once(seconds=7) if isinstance(message, BrokerOutage)]
        bench.producer.answers.append(None)
        told += [message for message in bench.run_once(seconds=1) if isinstance(message, BrokerOutage)]
    assert [bool(message.why) for message in told] == [True, False] * 4


def test_after_a_long_silence_the_next_is_told_as_soon(bench: Bench) -> None:
    bench.producer.acks_on_its_own = False
    bench.run_once(*bench.file(1, bytes(300)))
    for _ in range(3):
        assert BrokerOutage in {type(message) for message in bench.run_once(seconds=6)}
        bench.run_once(seconds=60)
        bench.producer.answers.append(None)
        assert BrokerOutage("") in bench.run_once(seconds=1)


def test_a_refused_connection_is_told_once_with_its_cause(bench: Bench) -> None:
    tell = bench.producer.properties["error_cb"]
    bench.producer.acks_on_its_own = False
    bench.run_once(*bench.file(1, bytes(5)))
    told = []
    for _ in range(10):
        tell(KafkaError(KafkaError._AUTHENTICATION, "wrong password"))
        tell(KafkaError(KafkaError._ALL_BROKERS_DOWN, "1/1 brokers are down"))
        told += bench.run_once(seconds=1)
    assert told == [BrokerOutage("it refuses the connection: wrong password", is_cause=True)]


# Batches that are too large


def test_a_batch_that_is_too_large_is_sent_again_in_smaller_ones(tmp_path: Path) -> None:
    limits = {"batch.size": 100, "message.max.bytes": 80}
    with contextlib.closing(Bench(tmp_path, **limits)) as bench:
        bench.producer.answers.extend([TOO_LARGE] * 3)
        data = bytes(range(25))
        told = bench.run_once(*bench.file(1, data)) + bench.run_once()
        assert len(bench.producers) == 2
        assert bench.producer.properties["batch.size"] == 40
        told += bench.run_once() + bench.run_once(seconds=1.1)
        assert events(told) == [FilesCompleted(((1, digest(data)),), True)]
        assert sum("batches are made smaller" in text for text in texts(told)) == 1
        assert bench.producer.sent == [("1/3", data[:10]), ("2/3", data[10:20]), ("3/3", data[20:])]


@pytest.mark.parametrize("closing", [False, True], ids=["running", "closing"])
def test_a_message_that_is_too_large_alone_fails_its_file_and_no_other(tmp_path: Path, closing: bool) -> None:
    """The large ones are refused whatever the batch; the small ones are taken by themselves."""
    with contextlib.closing(Bench(tmp_path, **{"batch.size": 1000, "message.max.bytes": 1000})) as bench:
        if closing:
            bench.supervisor.post([Drain()])
        bench.run_once(*bench.file(1, bytes(10)), *bench.file(2, b"s"))
        told = []
        for _ in range(12):
            bench.producer.answers.clear()
            bench.producer.answers.extend(
                TOO_LARGE
                if len(message.value() or b"") == 10 or bench.producer.properties["batch.size"] > 15
                else None
                for message, *_ in bench.producer.queue
            )
            told += events(bench.run_once(seconds=0.5))
        undelivered = [message for message in told if isinstance(message, FileUndelivered)]
        assert [message.token for message in undelivered] == [1]
        assert "max.message.bytes" in undelivered[0].why
        assert FilesCompleted(((2, digest(b"s")),), True) in told
        assert bench.producer.properties["batch.size"] in (7, 15)
