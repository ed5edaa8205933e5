"""A fetcher without its process: the test is the supervisor, and Kafka is in memory."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from confluent_kafka import KafkaError

from dfud.downloading import broker_state, topic_reading
from dfud.downloading import fetcher as module
from dfud.downloading.counts import DownloadCounts
from dfud.downloading.fetcher import Fetcher
from dfud.downloading.settings import FetchSettings
from dfud.kafka.group_errors import explain
from dfud.messages import (
    BrokerOutage,
    CaughtUp,
    CommitFailed,
    Fetched,
    FilesPlaced,
    FromFetcher,
    Gap,
    Merge,
    Notice,
    PartReport,
    ReadRefused,
    ReceiptsSent,
    Release,
    Released,
    Stop,
    ToFetcher,
    TopicReplaced,
)
from dfud.processes import links
from dfud.processes.channel import Channel
from dfud.receipts.settings import ReceiptSettings
from tests.helpers.downloading import Record, contents, leftovers, native, openmsi
from tests.helpers.fetching import DATA, NOW, F, identity
from tests.helpers.topic_consumer import TopicConsumer, TopicConsumerWatch

REFUSED = explain(KafkaError(KafkaError.GROUP_AUTHORIZATION_FAILED), "G")
DOWN = KafkaError(KafkaError._ALL_BROKERS_DOWN, "all brokers are down")
AWAY = KafkaError(KafkaError._TRANSPORT, "connection refused")


class Supervisor:
    """The supervisor's end of the channel to one fetcher over a directory."""

    def __init__(
        self,
        top: Path,
        consumer: TopicConsumer,
        number: int,
        n_fetchers: int,
        once: bool,
        receipts: ReceiptSettings | None,
    ) -> None:
        (top / "LOGS" / "download_from_T").mkdir(parents=True, exist_ok=True)
        self.channel: Channel[ToFetcher, FromFetcher]
        self.channel, theirs = Channel.pair(links.FETCHER)
        ends = {partition: len(log) for partition, log in consumer.logs.items()} if once else None
        settings = FetchSettings(str(top), "download_from_T", "T", {"group.id": "G"}, n_fetchers, ends, "", "id")
        settings = settings._replace(receipts=receipts)
        self.watch = TopicConsumerWatch(consumer)
        self.fetcher = Fetcher(theirs, number, settings, consumer, lambda *_: self.watch)  # type: ignore[arg-type]
        self._theirs = theirs

    def close(self) -> None:
        self.fetcher.close()
        self.channel.close()
        self._theirs.close()

    def run_once(self, *orders: ToFetcher) -> list[FromFetcher]:
        """Send orders, run the fetcher's loop once, and return what it sends."""
        self.channel.send(orders)
        self.fetcher.run_once()
        return list(self.channel.receive(wait=False))

    def run_until_stopped(self) -> list[FromFetcher]:
        """Ask the fetcher to stop, run it until it does, and return what it sends."""
        self.channel.send([Stop()])
        self.fetcher.run()
        messages: list[FromFetcher] = []
        while batch := self.channel.receive(wait=False):
            messages += batch
        return messages


Start = Callable[..., Supervisor]


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """A factory of supervisors over one directory: ``start(consumer, number, n_fetchers, once)``."""
    monkeypatch.setattr(module, "_DISK_RETRY_INTERVAL_S", 0.01)
    monkeypatch.setattr(topic_reading, "_ASSIGN_INTERVAL_S", 0.0)
    monkeypatch.setattr(module, "_COMMIT_TIMEOUT_S", 0.2)
    started: list[Supervisor] = []

    def make(
        consumer: TopicConsumer,
        number: int = 0,
        n_fetchers: int = 1,
        once: bool = True,
        receipts: ReceiptSettings | None = None,
    ) -> Supervisor:
        started.append(Supervisor(tmp_path, consumer, number, n_fetchers, once, receipts))
        return started[-1]

    yield make
    for supervisor in started:
        supervisor.close()


def counts(messages: list[FromFetcher]) -> DownloadCounts:
    """Return the sum of what was reported."""
    total = DownloadCounts()
    for message in messages:
        if isinstance(message, Fetched):
            total.add(message.counts)
    return total


def test_what_is_read_is_reported_saved_and_committed(tmp_path: Path, start: Start) -> None:
    consumer = TopicConsumer([*native(b"f", DATA, NOW), *native(b"g", DATA, NOW)[:2]])
    supervisor = start(consumer)
    messages = supervisor.run_once()
    assert [type(message) for message in messages] == [Notice, Fetched, CaughtUp]
    assert counts(messages) == DownloadCounts(messages=6, bytes=5500, files=1)
    assert consumer.committed_offsets == {}
    assert supervisor.run_until_stopped() == [Fetched(DownloadCounts().take())]
    assert consumer.committed_offsets == {0: 6}
    assert consumer.positions == {}
    assert contents(tmp_path) == {b"f": DATA}
    # The next one continues there.
    consumer.logs[0] += native(b"g", DATA, NOW)[2:]
    assert counts(start(consumer).run_until_stopped()).messages == 2
    assert contents(tmp_path) == {b"f": DATA, b"g": DATA}
    assert leftovers(tmp_path, "T") == []


AGAIN = bytes(3500)  # in the place of DATA: a file that was rewritten behind its size and time


def sent_again() -> list[Record]:
    """Return the messages of a file that is sent again after a part of it, its last chunk before others."""
    one, two, three, four = native(b"f", AGAIN, NOW)
    return [*native(b"f", DATA, NOW)[:3], one, four, three, two]


def test_a_file_is_complete_at_the_end_whichever_chunk_comes_last(tmp_path: Path, start: Start) -> None:
    messages = start(TopicConsumer(sent_again())).run_once()
    assert (counts(messages).files, counts(messages).wrong) == (1, 0)
    assert messages[-1] == CaughtUp()
    assert contents(tmp_path) == {b"f": AGAIN}


def test_a_file_that_was_damaged_as_nothing_more_came_is_complete_when_more_comes(
    tmp_path: Path, start: Start
) -> None:
    *before, last = sent_again()
    consumer = TopicConsumer(before)
    supervisor = start(consumer, once=False)
    messages = [*supervisor.run_once(), *supervisor.run_once()]
    assert [each.text for each in messages if isinstance(each, Notice)] == [
        "f: all chunks received, but the digest does not match; kept in LOGS"
    ]
    consumer.logs[0].append(last)
    messages += [*supervisor.run_once(), *supervisor.run_once(), *supervisor.run_until_stopped()]
    assert (counts(messages).files, counts(messages).wrong) == (1, 0)
    assert contents(tmp_path) == {b"f": AGAIN}


def test_what_is_damaged_is_reported_before_the_end(tmp_path: Path, start: Start) -> None:
    supervisor = start(TopicConsumer(sent_again()[:-1]), once=False)
    messages = [*supervisor.run_once(), *supervisor.run_until_stopped()]
    assert counts(messages).wrong == 1


def test_each_fetcher_reads_its_share_and_what_is_apart_is_merged(tmp_path: Path, start: Start) -> None:
    records = openmsi(b"f", DATA, 1.5, partitions=4)
    consumers = [TopicConsumer(records, 4) for _ in range(2)]
    first, second = (start(consumer, n, 2) for n, consumer in enumerate(consumers))
    part = identity(records[0])
    assert [m for m in first.run_once() if isinstance(m, PartReport)] == [
        PartReport(part, 3500, ((1001, 2000), (3001, 3500)))
    ]
    assert [m for m in second.run_once() if isinstance(m, PartReport)] == [
        PartReport(part, None, ((1, 1000), (2001, 3000)))
    ]
    assert [set(consumer.positions) for consumer in consumers] == [{0, 2}, {1, 3}]
    second.run_once(Release(part))
    (released,) = (m for m in second.run_once() if isinstance(m, Released))
    first.run_once(Merge(part, (released,)))
    messages = first.run_once()
    assert PartReport(part, None, ()) in messages
    assert counts(messages).files == 1
    assert contents(tmp_path) == {b"f": DATA}


def test_the_broker_is_away_for_a_while(tmp_path: Path, start: Start) -> None:
    consumer = TopicConsumer(native(b"f", DATA, NOW))
    supervisor = start(consumer)
    consumer.outage = AWAY
    assert supervisor.run_once() == [BrokerOutage("connection refused")]
    consumer.properties["error_cb"](DOWN)
    assert supervisor.run_once() == []
    consumer.outage = None
    messages = supervisor.run_once()
    assert messages[0] == BrokerOutage("")
    assert CaughtUp() in messages
    consumer.properties["error_cb"](AWAY)  # one broker of several
    assert supervisor.run_once() == []
    consumer.properties["error_cb"](DOWN)
    assert supervisor.run_once() == [BrokerOutage("all brokers are down")]


@pytest.mark.parametrize("answers", [True, False])
def test_what_could_not_be_committed_is_reported(tmp_path: Path, start: Start, answers: bool) -> None:
    consumer = TopicConsumer(native(b"f", DATA, NOW))
    consumer.commit_error = KafkaError(KafkaError.GROUP_AUTHORIZATION_FAILED, "not allowed")
    consumer.answers_commits = answers
    failed = CommitFailed(REFUSED if answers else "the broker did not answer")
    supervisor = start(consumer)
    supervisor.run_once()
    assert supervisor.run_until_stopped()[-1] == failed


@pytest.mark.parametrize("are_sent", [True, False])
def test_at_the_end_offsets_are_committed_only_if_all_receipts_are_sent(
    tmp_path: Path, start: Start, monkeypatch: pytest.MonkeyPatch, are_sent: bool
) -> None:
    monkeypatch.setattr(module, "_RECEIPTS_TIMEOUT_S", 0.1)
    consumer = TopicConsumer([*native(b"f", DATA, NOW), *native(b"g", b"small", NOW)])
    wanted = ReceiptSettings("R", "", "T", "archive", False, {}, "config")
    supervisor = start(consumer, receipts=wanted)
    supervisor.run_once()
    receipts = supervisor.fetcher._receipts
    assert receipts is not None
    send = receipts._send

    def answer(placed: FilesPlaced) -> None:
        send(placed)
        supervisor.channel.send([ReceiptsSent(placed.number)])

    if are_sent:
        monkeypatch.setattr(receipts, "_send", answer)
    messages = supervisor.run_until_stopped()
    (placed,) = (message for message in messages if isinstance(message, FilesPlaced))
    assert (placed.number, placed.n_files) == (1, 2)
    assert contents(tmp_path) == {b"f": DATA, b"g": b"small"}
    assert consumer.committed_offsets == ({0: 5} if are_sent else {})


class FailingWrites:
    """`os.pwritev` that fails a number of times."""

    def __init__(self, times: int) -> None:
        self.left = times
        self._pwritev = os.pwritev

    def __call__(self, *args: object) -> int:
        if self.left:
            self.left -= 1
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))  # injected: a full disk
        return self._pwritev(*args)  # type: ignore[arg-type]


def test_a_full_disk_is_waited_for_and_orders_are_handled_afterwards(
    tmp_path: Path, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    consumer = TopicConsumer(native(b"f", DATA, NOW)[:2])
    monkeypatch.setattr(os, "pwritev", FailingWrites(3))
    supervisor = start(consumer, 0, 2, once=False)
    messages = supervisor.run_once(Release(F))
    texts = [message.text for message in messages if isinstance(message, Notice)]
    assert texts == [f"cannot write {tmp_path}: No space left on device; retrying"]
    messages = list(supervisor.channel.receive(wait=False)) + supervisor.run_once()
    texts = [message.text for message in messages if isinstance(message, Notice)]
    assert texts == [f"writing {tmp_path} works again"]
    assert [message.spans for message in messages if isinstance(message, Released)] == [((1, 2000),)]
    # A checkpoint that fails later is not said to work because messages are taken.
    supervisor.fetcher._disk_reporter.on_failure(OSError(errno.EIO, "Input/output error"))
    consumer.logs[0] += native(b"f", DATA, NOW)[2:]
    messages = supervisor.run_once()
    assert consumer.positions == {0: 4}
    texts = [message.text for message in messages if isinstance(message, Notice) and message.level > 10]
    assert texts == [f"cannot write {tmp_path}: Input/output error; retrying"]


def test_a_fetcher_can_be_stopped_while_the_disk_is_full(
    tmp_path: Path, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    consumer = TopicConsumer(native(b"f", DATA, NOW)[:2])
    writes = FailingWrites(10**6)
    monkeypatch.setattr(os, "pwritev", writes)
    supervisor = start(consumer)
    messages = supervisor.run_until_stopped()
    assert messages[-1] == CommitFailed("the disk refused what was read last")
    assert consumer.committed_offsets == {}
    writes.left = 0
    consumer.positions.clear()
    assert counts(start(consumer).run_once()).messages == 2


def run_until_caught_up(supervisor: Supervisor) -> list[FromFetcher]:
    messages: list[FromFetcher] = []
    while CaughtUp() not in messages:
        messages += supervisor.run_once()
    return messages


def test_offsets_that_are_gone_are_named_and_committed_as_done(start: Start) -> None:
    consumer = TopicConsumer(native(b"f", DATA, NOW) + native(b"g", DATA, NOW))
    consumer.lows = {0: 4}
    consumer.committed_offsets = {0: 1}
    supervisor = start(consumer)
    messages = run_until_caught_up(supervisor)
    assert [message for message in messages if isinstance(message, Gap)] == [Gap("id", 0, 1, 3, "deleted", "")]
    assert counts(messages).files == 1
    supervisor.run_until_stopped()
    assert consumer.committed_offsets == {0: 8}


def test_a_log_that_was_cut_is_read_again(tmp_path: Path, start: Start) -> None:
    consumer = TopicConsumer(native(b"f", DATA, NOW))
    consumer.committed_offsets = {0: 9}
    messages = run_until_caught_up(start(consumer))
    assert [message for message in messages if isinstance(message, Gap)] == [Gap("id", 0, 4, 8, "cut", "")]
    assert contents(tmp_path) == {b"f": DATA}


@pytest.mark.parametrize("once", [True, False])
def test_a_topic_that_was_made_anew_is_read_from_its_beginning(tmp_path: Path, start: Start, once: bool) -> None:
    consumer = TopicConsumer(native(b"f", DATA, NOW))
    supervisor = start(consumer, once=once)
    supervisor.run_once()
    consumer.topic_id = "new"
    consumer.logs[0] = native(b"g", DATA, NOW) + native(b"h", DATA, NOW)
    messages = supervisor.run_once() + supervisor.run_once()
    assert TopicReplaced("new") in messages
    assert set(contents(tmp_path)) == {b"f", b"g", b"h"}
    supervisor.run_until_stopped()
    assert (consumer.committed_offsets, consumer.committed_metadata) == ({0: 8}, {0: "new"})


def test_a_refusal_is_reported_as_such_and_ends_a_run_that_is_to_end(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    consumer = TopicConsumer(native(b"f", DATA, NOW))
    consumer.outage = KafkaError(KafkaError.GROUP_AUTHORIZATION_FAILED)
    monkeypatch.setattr(broker_state, "_PATIENCE_S", 0.0)
    monkeypatch.setattr(broker_state, "_MIN_REFUSAL_S", 0.0)
    assert start(consumer).run_once() == [ReadRefused(REFUSED), CaughtUp()]
    supervisor = start(consumer, once=False)
    assert supervisor.run_once() == [ReadRefused(REFUSED)]
    consumer.outage = None
    assert ReadRefused("") in supervisor.run_once()
