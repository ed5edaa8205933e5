"""A producer's side of a lane with a librdkafka of the test's own, and the test as supervisor and chunker."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
import xxhash
from confluent_kafka import KafkaError, KafkaException

from dfud.core.version import FileVersion
from dfud.logs.completed.shards import ShardWriter
from dfud.logs.layout import LogsFolder
from dfud.messages import ChunkerToProducer, FileStart, FromProducer, Notice, Ranges, RunReady
from dfud.processes import links
from dfud.processes.channel import Channel
from dfud.uploading.last_ack import LastAck
from dfud.uploading.long_line import LongLine, SharedLine
from dfud.uploading.producer import ProducerSettings, ProducerWorker, wait_readable
from dfud.uploading.ring import Ring
from dfud.uploading.upload import Upload
from dfud.uploading.wire import NATIVE

CHUNK = 10
RING_BYTES = 1000
TOPIC_ID = "the topic"
TIMED_OUT = KafkaError(KafkaError._MSG_TIMED_OUT, "timed out")
FORBIDDEN = KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED, "not allowed")
TOO_LARGE = KafkaError(KafkaError.MSG_SIZE_TOO_LARGE, "too large")
FATAL = KafkaError(KafkaError._FATAL, "epoch gone", fatal=True)
NO_OFFSET = KafkaError(KafkaError.NO_ERROR, "stands for an acknowledgement without an offset")
REFUSED = KafkaError(KafkaError._TRANSPORT, "host:1/1: Connect to ipv4#127.0.0.1:1 failed: Connection refused")
ALL_DOWN = KafkaError(KafkaError._ALL_BROKERS_DOWN, "1/1 brokers are down")


def answer_without_trouble(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a broker that is asked for the cause of its silence answer, and know of none."""
    for name in ("topic_trouble", "leader_trouble"):
        monkeypatch.setattr(f"dfud.uploading.checkup.{name}", lambda topic, properties: "")
    monkeypatch.setattr("dfud.uploading.checkup.request_limit", lambda properties: 100_000)


class FakeMessage:
    """A message in a delivery report."""

    def __init__(self, value: bytes) -> None:
        self._value = value
        self.at = 0  # its offset
        self.has_offset = True
        self.latency_s = 0.0

    def __len__(self) -> int:
        return len(self._value)

    def latency(self) -> float:
        return self.latency_s

    def offset(self) -> int | None:
        return self.at if self.has_offset else None

    def partition(self) -> int:
        return 0

    def value(self) -> bytes | None:
        return self._value or None  # librdkafka's is None for an empty one

    def key(self) -> bytes:
        return b"key"


class FakeProducer:
    """Accepts messages as librdkafka does, and reports what the test wants, one answer a message."""

    def __init__(self, properties: dict[str, Any]) -> None:
        self.properties = properties
        self.room = 1000  # messages
        self.queue: deque[tuple[FakeMessage, Callable[..., None]]] = deque()
        self.sent: list[tuple[str, bytes]] = []  # chunk, value
        self.answers: deque[KafkaError | None] = deque()  # of the next reports; None for an acknowledgement
        self.produce_errors: deque[KafkaError] = deque()  # raised by the next calls of `produce`
        self.acknowledges = True  # when there are no more answers
        self.end = 0  # of the partition: the offset of the next message
        self.flushed: list[int] = []  # messages in the queue at each flush

    def __len__(self) -> int:
        return len(self.queue)

    @property
    def chunks(self) -> list[str]:
        return [chunk for chunk, _ in self.sent]

    def produce(
        self,
        topic: str,
        value: bytes,
        key: bytes,
        partition: int,
        on_delivery: Any,
        alias: None,
        timestamp: int,
        headers: Any,
    ) -> None:
        assert topic == "topic"
        if self.produce_errors:
            raise KafkaException(self.produce_errors.popleft())
        if len(self.queue) >= self.room:
            raise BufferError
        self.sent.append((dict(headers)["chunk"].decode(), value))
        self.queue.append((FakeMessage(value), on_delivery))

    def poll(self, timeout: float) -> int:
        count = 0
        while self.queue and (self.answers or self.acknowledges):
            message, report = self.queue.popleft()
            answer = self.answers.popleft() if self.answers else None
            message.has_offset = answer is not NO_OFFSET
            message.at = self.end
            self.end += 1
            report(None if answer is NO_OFFSET else answer, message)
            count += 1
        return count

    def flush(self, timeout: float) -> int:
        self.flushed.append(len(self.queue))
        self.poll(timeout)
        return len(self)

    def purge(self) -> None:
        self.answers = deque([KafkaError(KafkaError._PURGE_QUEUE)] * len(self.queue))


class ProducerHarness:
    """A lane's producer whose clock stands still between the steps of the test, and which never waits."""

    def __init__(
        self, top: Path, lingers_by_load: bool = True, line: LongLine | None = None, **properties: Any
    ) -> None:
        self.now = 1000.0
        self.last_ack = LastAck(self.now)  # of all lanes
        self.line = None if line is None else SharedLine(line, n_lanes=2)
        self.supervisor, self._to_supervisor = Channel.pair(links.PRODUCER)
        self.chunker, self._to_chunker = Channel.pair(links.LANE)
        self.ring = Ring(RING_BYTES)
        self.folder = LogsFolder(str(top), "topic")
        os.makedirs(self.folder.path)
        self.producers: list[FakeProducer] = []
        self.next_answers: list[KafkaError] = []  # of producers that are made from now on
        self.new_acknowledge = True  # these, when they have no more answers
        self.waits: list[float] = []  # s; how long the worker would have waited while no message was there
        self.runs_clock = False  # by these waits
        self.worker = ProducerWorker(
            self._to_supervisor,
            self._to_chunker,
            self.ring,
            ShardWriter(self.folder, 0, 1),
            ProducerSettings(
                "topic", properties, lingers_by_load, NATIVE, self.last_ack, TOPIC_ID, line=self.line
            ),
            self._make_producer,  # type: ignore[arg-type]
            lambda: self.now,
            self._wait,
        )

    def _make_producer(self, properties: dict[str, Any]) -> FakeProducer:
        made = FakeProducer(properties)
        if self.producers:
            made.room = self.producer.room
            made.end = self.producer.end
        made.acknowledges = self.new_acknowledge
        self.producers.append(made)
        self.producer.answers.extend(self.next_answers)
        return self.producer

    def _wait(self, channels: Any, seconds: float) -> Any:
        ready = wait_readable(channels, 0.0)
        if not ready:
            self.waits.append(seconds)
            if self.runs_clock:
                self.now += seconds
        return ready

    @property
    def producer(self) -> FakeProducer:
        """The present producer."""
        return self.producers[-1]

    def on_error(self, error: KafkaError) -> None:
        """Have librdkafka report an error that is not about one message."""
        self.producer.properties["error_cb"](error)

    def fail_all(self, error: KafkaError) -> None:
        """Answer every message with `error`, now and after each renewal."""
        self.next_answers = [error] * 100
        self.producer.answers.extend(self.next_answers)

    def close(self) -> None:
        for channel in (self.supervisor, self._to_supervisor, self.chunker, self._to_chunker):
            channel.close()

    def file(self, token: int, data: bytes, delivered: Ranges = (), complete: bool = True) -> list[RunReady]:
        """Return what a chunker passes on of a file, its bytes in the ring; without a digest unless `complete`."""
        return [file_run(self.ring, token, data, delivered, complete)]

    def step(self, *messages: ChunkerToProducer, seconds: float = 0.0) -> list[FromProducer]:
        """Let time pass and run the loop once, with `messages` of the chunker; return what was reported."""
        self.now += seconds
        if messages:
            self.chunker.post(messages)
        self.worker.run_once()
        return self.received()

    def steps(self, count: int, seconds: float = 0.0) -> list[FromProducer]:
        """Do `count` steps; return what the supervisor receives."""
        return [message for _ in range(count) for message in self.step(seconds=seconds)]

    def received(self) -> list[FromProducer]:
        """Return what the supervisor has received and not read."""
        messages: list[FromProducer] = []
        while batch := self.supervisor.receive(wait=False):
            messages += batch
        return messages

    def table(self) -> str:
        """Return all shards."""
        return "".join(Path(path).read_text() for path in self.folder.shards())


def file_run(ring: Ring, token: int, data: bytes, delivered: Ranges = (), complete: bool = True) -> RunReady:
    """Put `data` into `ring` and return the run of a whole file; without a digest unless `complete`."""
    start, end = ring.reserve(len(data)) or (-1, -1)
    with ring.view(start, len(data)) as view:
        view[:] = data
    n_chunks = max(1, -(-len(data) // CHUNK))
    chunks = [data[at * CHUNK : (at + 1) * CHUNK] for at in range(n_chunks)]
    digests = "".join(map(xxhash.xxh3_64_hexdigest, chunks)).encode()
    file = file_start(token, len(data), delivered)
    return RunReady(token, 1, n_chunks, start, len(data), end, digests, digest(data) if complete else "", file)


def file_start(token: int, size: int, delivered: Ranges = ()) -> FileStart:
    """Return the start of file `token`."""
    return FileStart(token, FileVersion(b"file%d" % token, size, 1), CHUNK, delivered, "then", b"")


def make_upload(token: int, size: int = 25, delivered: Ranges = ()) -> Upload:
    """Return the upload of a file, read to its end."""
    start = file_start(token, size, delivered)
    upload = Upload(start, NATIVE.messages(start))
    upload.xxh3_128 = f"{token:032x}"
    return upload


def digest(data: bytes) -> str:
    """Return the digest of a file."""
    return xxhash.xxh3_128_hexdigest(data)


def texts(messages: Iterable[FromProducer]) -> list[str]:
    """Return the texts of the notices among `messages`."""
    return [message.text for message in messages if isinstance(message, Notice)]


def events(messages: Iterable[FromProducer]) -> list[FromProducer]:
    """Return `messages` without the notices."""
    return [message for message in messages if not isinstance(message, Notice)]


def types(messages: Iterable[FromProducer]) -> list[type]:
    """Return the types of `messages`, without the notices."""
    return [type(message) for message in events(messages)]
