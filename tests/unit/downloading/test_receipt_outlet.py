"""What the supervisor does for receipts: real channels and event loop; the test plays the process that sends."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any, cast

import pytest

from dfud.display.activity import Fact
from dfud.downloading.counts import DownloadCounts
from dfud.downloading.download_activity import DownloadActivity
from dfud.downloading.receipt_outlet import ReceiptOutlet
from dfud.messages import EarlierFilesSent, FilesPlaced, ReceiptRefused, ReceiptsDelayed, ReceiptsSent, Stop
from dfud.processes import links
from dfud.processes.event_loop import EventLoop, UserCommands
from tests.helpers.fake_workers import FakePool, FakeUser, FakeWorker


class Bench:
    def __init__(self) -> None:
        self.now = 100.0
        self.pool = FakePool()
        self.user = FakeUser()
        self.workers: list[FakeWorker] = []
        self.starts: list[bool] = []  # whether each was to send receipts of earlier files
        self.logged: list[str] = []
        self.sent: list[tuple[int, int]] = []
        log = logging.Logger("test")
        handler = logging.Handler()
        handler.emit = lambda record: self.logged.append(record.getMessage())  # type: ignore[method-assign]
        log.addHandler(handler)
        discard = cast("Any", self.pool.discard)
        self.outlet = ReceiptOutlet("R", self.start, discard, log, True, lambda: self.now)
        commands = UserCommands(lambda _: None, lambda: None, lambda: None)
        self.loop = EventLoop(self.user.context(), commands, lambda: self.now)
        self.outlet.run_in(self.loop, lambda fetcher, sent: self.sent.append((fetcher, sent.number)))

    def start(self, with_earlier: bool) -> FakeWorker:
        self.starts.append(with_earlier)
        self.workers.append(self.pool.start("receipts", links.RECEIPT_SENDER))
        return self.workers[-1]

    def report(self, *messages: Any) -> None:
        self.workers[-1].report(*messages)
        self.step()

    def step(self) -> None:
        for _ in range(3):
            self.user.send()
            self.loop.run_once([])

    def finish(self) -> bool:
        cast("Any", self.workers[-1].process).exitcode = 0
        return self.outlet.finish()


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    yield made
    made.pool.close_all()
    made.user.close()


def test_what_is_sent_is_told_to_the_fetcher_that_owed_it(bench: Bench) -> None:
    bench.outlet.send(0, FilesPlaced(7, 2, b"files"))
    bench.outlet.send(1, FilesPlaced(7, 1, b"more"))
    assert bench.workers[0].received() == [FilesPlaced(1, 2, b"files"), FilesPlaced(2, 1, b"more")]
    bench.report(ReceiptsSent(2), EarlierFilesSent(0, True))
    assert bench.sent == [(1, 7)]
    assert bench.finish()
    assert bench.logged == ["2 receipts could not be sent to topic R; the next run sends them"]
    assert bench.workers[0].received() == [Stop()]


def test_a_process_that_dies_is_replaced_by_one_that_gets_all_that_was_not_sent(bench: Bench) -> None:
    bench.outlet.send(0, FilesPlaced(1, 1, b"one"))
    bench.outlet.send(0, FilesPlaced(2, 1, b"two"))
    bench.report(ReceiptsSent(1))
    bench.workers[0].die()
    bench.step()
    assert bench.logged == ["receipts was killed by SIGKILL: restarting it"]
    assert bench.workers[1].received() == [FilesPlaced(2, 1, b"two")]
    assert bench.starts == [True, True]
    bench.report(ReceiptsSent(2), EarlierFilesSent(5, True))
    assert bench.sent == [(0, 1), (0, 2)]
    assert not bench.finish()


def test_what_fetchers_owed_that_have_died_is_forgotten(bench: Bench) -> None:
    bench.outlet.send(0, FilesPlaced(1, 1, b"one"))
    bench.outlet.forget()
    bench.report(ReceiptsSent(1), EarlierFilesSent(0, True))
    assert bench.sent == []
    assert not bench.finish()


def test_trouble_is_said_once_and_so_is_its_end(bench: Bench) -> None:
    for reason in ("refused", "refused", "forbidden", "refused"):
        bench.report(ReceiptsDelayed(reason))
    bench.report(ReceiptsDelayed(""), ReceiptsDelayed(""))
    tail = "retrying; downloading goes on, and offsets are committed when they are sent"
    assert bench.logged == [
        f"cannot send receipts to topic R: refused; {tail}",
        f"cannot send receipts to topic R: forbidden; {tail}",
        "receipts reach topic R again",
    ]


def test_trouble_is_shown_as_long_as_it_lasts(bench: Bench) -> None:
    activity = DownloadActivity(DownloadCounts(), lambda: False, bench.now)
    activity.receipt_trouble = lambda: bench.outlet.shown_trouble

    def shown() -> list[Fact]:
        return [fact for fact in activity(bench.now).facts if "receipt" in fact.text]

    bench.outlet.send(0, FilesPlaced(1, 12, b"some"))
    assert shown() == []
    bench.report(ReceiptsDelayed("forbidden"))
    assert shown() == [Fact("12 receipts cannot be sent", "bad")]
    bench.outlet.forget()
    assert shown() == [Fact("receipts cannot be sent", "bad")]
    bench.report(ReceiptsDelayed(""))
    assert shown() == []


def test_a_run_that_is_to_end_waits_for_earlier_files_as_long_as_receipts_are_sent(bench: Bench) -> None:
    assert bench.outlet.waits_until(bench.now) == 160
    bench.now += 50
    bench.report(ReceiptsSent(9))
    assert bench.outlet.waits_until(bench.now) == 210
    bench.now = 211
    assert bench.outlet.waits_until(bench.now) is None
    bench.report(ReceiptsDelayed("refused"))
    assert bench.finish()
    assert bench.logged[-1] == (
        "the receipts of files of earlier runs are not all on topic R (refused); the next run sends them"
    )


def test_a_receipt_that_is_refused_makes_the_status_1_and_its_file_is_named_safely(bench: Bench) -> None:
    bench.report(ReceiptRefused(b"a\x1b", "too large"), EarlierFilesSent(0, True))
    assert bench.finish()
    assert bench.logged == [
        "a\\x1b: the broker refuses its receipt: too large",
        "1 file has no receipt: topic R takes none that are so large",
    ]
