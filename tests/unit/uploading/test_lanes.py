"""What a lane starts, keeps and closes when one of its processes is replaced; no process is started."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from dfud.files.openat import DEFAULT_LINKS
from dfud.logs.layout import LogsFolder
from dfud.processes import links
from dfud.processes.channel import Channel
from dfud.uploading.lanes import Lane, LaneSettings, start_watcher
from dfud.uploading.last_ack import LastAck
from dfud.uploading.producer import ProducerSettings
from dfud.uploading.wire import NATIVE
from tests.helpers.fake_workers import FakePool, FakeWorker
from tests.helpers.watching import watch_options


class Pool(FakePool):
    """A pool that remembers what it was asked to start."""

    def __init__(self) -> None:
        super().__init__()
        self.started: list[tuple[str, tuple[Any, ...], list[Any]]] = []
        self.open: list[Channel[Any, Any]] = []

    def start(  # type: ignore[override]
        self, name: str, link: links.Link[Any, Any], run: Any, args: Iterable[Any], keep_open: Iterable[Any] = ()
    ) -> FakeWorker:
        self.started.append((name, tuple(args), list(keep_open)))
        worker = super().start(name, link)
        self.open.append(worker.channel)
        return worker

    def close_in_children(self, item: Channel[Any, Any]) -> None:
        self.open.append(item)

    def close(self, channel: Channel[Any, Any]) -> None:
        self.open.remove(channel)
        channel.close()

    def close_all(self) -> None:
        super().close_all()
        for channel in self.open:
            channel.close()


@pytest.fixture
def pool() -> Iterator[Pool]:
    pool = Pool()
    yield pool
    pool.close_all()


@pytest.fixture
def lane(pool: Pool, tmp_path: Path) -> Lane:
    (tmp_path / "LOGS").mkdir()
    producer = ProducerSettings("topic", {}, True, NATIVE, LastAck())
    settings = LaneSettings(LogsFolder(str(tmp_path), "topic"), 17, DEFAULT_LINKS, 4096, producer)
    return Lane(3, 5, cast("Any", pool), settings)


def test_chunker_and_producer_share_a_ring_and_a_channel(lane: Lane, pool: Pool) -> None:
    (producer, producer_args, producer_keeps), (chunker, chunker_args, chunker_keeps) = pool.started
    assert (producer, chunker) == ("producer-3", "chunker-3")
    assert producer_args[1] is chunker_args[1]
    assert producer_args[2]._sequence == 5
    assert chunker_args[2] == 17
    assert producer_keeps == [producer_args[0], *lane.copies]
    assert chunker_keeps == [chunker_args[0]]
    assert [worker.name for worker in lane.workers] == ["chunker-3", "producer-3"]
    assert len(pool.open) == 5


def test_a_replaced_chunker_continues_with_the_ring_and_the_producer(lane: Lane, pool: Pool) -> None:
    _, producer = lane.workers
    lane.replace_chunker()
    (_, _, _), (_, first, _), (name, second, keeps) = pool.started
    assert (name, second, keeps) == ("chunker-3", first, [first[0]])
    assert lane.producer is producer
    assert len(pool.open) == 5


def test_a_lane_whose_producer_died_begins_with_a_ring_a_channel_and_shards_of_its_own(
    lane: Lane, pool: Pool
) -> None:
    old_chunker = lane.chunker
    lane.replace_both(8)
    assert old_chunker.process.exitcode is not None, "it would write into a ring that nobody reads"
    first, second = pool.started[0][1], pool.started[2][1]
    assert first[0] is not second[0]
    assert first[1] is not second[1]
    assert second[2]._sequence == 8
    assert [copy.is_growing for copy in lane.copies] == [False, True]
    assert len(pool.open) == 6, "what the first has recorded is still known"


def test_the_copies_of_dead_producers_are_one(lane: Lane, pool: Pool) -> None:
    for sequence in range(1, 21):
        lane.copies[-1].append(sequence, [b"row"])
        lane.replace_both(sequence + 1)
    assert [copy.is_growing for copy in lane.copies] == [False, True]
    assert lane.copies[0].sizes() == dict.fromkeys(range(1, 21), 3)
    assert len(pool.open) == 6


def test_the_watcher_gets_its_options(pool: Pool) -> None:
    options = watch_options(Path("/data"))
    start_watcher(cast("Any", pool), options)
    assert pool.started == [("watcher", (options, None), [])]
