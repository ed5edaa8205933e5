"""When something is announced, and what is said of it: with a worker whose process the test plays."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Iterator
from typing import Any, cast

import pytest

from dfud.announcing import outlet as module
from dfud.announcing.log_lines import LogLines
from dfud.announcing.outlet import AnnouncementOutlet, Series
from dfud.errors import WorkerError
from dfud.logs.upload_status import UploadStatus
from dfud.messages import Announced, Announcement, AnnouncementDelayed, Stop
from dfud.processes import links
from dfud.processes.channel import PeerGoneError
from tests.helpers.fake_workers import FakePool, FakeWorker
from tests.helpers.statuses import upload_status

STATUS = upload_status()


class FakeSource:
    """A source that says its number."""

    noun = "beats"
    has_more = False

    def __init__(self) -> None:
        self.results: list[str] = []
        self.on_take: Callable[[], None] = lambda: None

    def take(self, number: int, describe: Callable[[], UploadStatus]) -> bytes:
        self.on_take()
        return str(number).encode()

    def on_sent(self, number: int) -> None:
        self.results.append(f"{number} sent")

    def on_failed(self, number: int, is_too_large: bool) -> None:
        self.results.append(f"{number} failed")


class Bench:
    def __init__(self) -> None:
        self.pool = FakePool()
        self.workers: list[FakeWorker] = []
        self.can_start = True
        self.logged: list[str] = []
        self.lines = LogLines(100)
        self.log = logging.Logger("test")
        handler = logging.Handler()
        handler.emit = lambda record: self.logged.append(record.getMessage())  # type: ignore[method-assign]
        self.log.addHandler(handler)
        self.log.addHandler(self.lines)
        self.source = FakeSource()
        self.now = 100.0
        series = [
            Series("heartbeat", "T", 10.0, self.source, self.log),
            Series("log", "L", 25.0, self.lines, self.log),
        ]
        discard = cast("Any", self.pool.discard)
        self.outlet = AnnouncementOutlet(series, self._start, discard, self.log, lambda: self.now)

    def _start(self) -> FakeWorker:
        if not self.can_start:
            raise WorkerError("cannot start announcer")
        self.workers.append(self.pool.start("announcer", links.ANNOUNCER))
        return self.workers[-1]

    def turn(self, seconds: float = 0.0) -> list[tuple[str, int]]:
        """Let time pass; return what the announcer is given then."""
        self.now += seconds
        self.outlet.turn(self.now, lambda: STATUS)
        return [(each.kind, each.number) for each in self.received()]

    def received(self) -> list[Any]:
        """Return what the announcer was given since the last call, dead or alive."""
        messages: list[Any] = []
        with contextlib.suppress(PeerGoneError, OSError):
            while self.workers and (batch := self.workers[-1].far_end.receive(wait=False)):
                messages.extend(batch)
        return messages

    def report(self, *results: Announced | AnnouncementDelayed) -> None:
        self.workers[-1].report(*results)


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    yield made
    made.pool.close_all()


def test_both_kinds_are_announced_at_once_and_then_at_their_intervals(bench: Bench) -> None:
    assert bench.turn() == [("heartbeat", 1), ("log", 2)]
    bench.report(Announced("heartbeat", 1, ""), Announced("log", 2, ""))
    assert bench.turn(1.0) == []
    assert bench.outlet.due == 110.0
    assert bench.turn(9.0) == [("heartbeat", 3)]
    assert bench.source.results == ["1 sent"]


def test_nothing_is_done_before_something_is_due(bench: Bench) -> None:
    bench.turn()
    bench.report(Announced("heartbeat", 1, ""), Announced("log", 2, ""))
    bench.turn(1.0)
    bench.workers[-1].die()
    bench.turn(8.9)
    assert bench.logged == []


def test_none_is_sent_while_the_last_one_is_under_way_and_looks_at_it_get_rare(bench: Bench) -> None:
    bench.turn()
    looks = 0
    while bench.now < 200.0:
        assert bench.outlet.due is not None
        assert bench.turn(bench.outlet.due - bench.now) == []
        looks += 1
    assert looks < 12
    bench.report(Announced("heartbeat", 1, ""), Announced("log", 2, ""))
    assert bench.turn(30.0) == [("heartbeat", 3), ("log", 4)]


def test_a_trouble_is_said_once_and_its_end(bench: Bench) -> None:
    bench.turn()
    delay = AnnouncementDelayed("heartbeat", "Connection refused")
    bench.report(Announced("log", 2, ""), delay, delay, Announced("heartbeat", 1, "Connection refused"))
    bench.turn(1.0)
    bench.turn(10.0)
    bench.report(Announced("heartbeat", 3, "Connection refused"))
    bench.turn(1.0)
    bench.turn(10.0)
    bench.report(Announced("heartbeat", 4, ""))
    bench.turn(1.0)
    assert bench.logged == [
        "cannot send beats to topic T: Connection refused; retrying; uploading continues",
        "beats reach topic T again",
    ]
    assert bench.source.results == ["1 failed", "3 failed", "4 sent"]


def test_the_topic_of_the_log_is_not_told_of_its_own_trouble(bench: Bench) -> None:
    bench.turn()
    bench.report(AnnouncementDelayed("log", "why"), AnnouncementDelayed("heartbeat", "why"))
    bench.turn(1.0)
    assert len(bench.logged) == 2
    value = bench.lines.take(9, lambda: STATUS)
    assert b"topic T" in value
    assert b"topic L" not in value


def test_a_dead_announcer_is_replaced_and_what_it_had_is_sent_again(bench: Bench) -> None:
    bench.turn()
    bench.workers[-1].die()
    bench.turn(1.0)
    assert bench.logged == ["announcer was killed by SIGKILL: restarting it"]
    assert bench.source.results == ["1 failed"]
    assert bench.turn(4.0) == []
    assert bench.turn(5.0) == [("heartbeat", 3)]
    bench.workers[-1].die()
    bench.turn(1.0)
    assert len(bench.logged) == 1


def test_an_announcer_that_cannot_be_started_is_tried_again(bench: Bench) -> None:
    bench.can_start = False
    bench.turn()
    bench.turn(30.0)
    assert [line.partition(" to topic ")[0] for line in bench.logged] == [
        "cannot send beats",
        "cannot send log messages",
    ]
    bench.can_start = True
    assert bench.turn(30.0) == [("heartbeat", 5), ("log", 6)]


def test_the_end_is_announced_and_waited_for_only_for_a_moment(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.turn()
    monkeypatch.setattr(bench.outlet, "_clock", time.monotonic)
    monkeypatch.setattr(module, "_END_S", 0.01)
    bench.log.info("the end")
    bench.outlet.end(STATUS)
    received = bench.received()
    assert [each.kind for each in received if isinstance(each, Announcement)] == ["heartbeat", "log"]
    assert b"the end" in received[-2].value
    assert isinstance(received[-1], Stop)
    assert bench.logged[1:] == [
        "the last beats may not be on topic T: the broker has not answered in time",
        "the last log messages may not be on topic L: the broker has not answered in time",
    ]


def test_the_end_comes_as_soon_as_all_is_acknowledged(bench: Bench) -> None:
    bench.turn()
    bench.report(Announced("heartbeat", 1, ""), Announced("log", 2, ""))
    bench.source.on_take = lambda: bench.report(Announced("heartbeat", 3, ""), Announced("log", 4, ""))
    bench.outlet.end(STATUS)  # this clock stands: without an end, it would wait for ever
    assert bench.logged == []
