"""What the supervisor of a download decides: real channels and event loop; fake fetchers, user and clock."""

from __future__ import annotations

import csv
import logging
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from dfud.core.chunk import XXH3_128
from dfud.core.ranges import RangeSet
from dfud.downloading.incomplete_table import IncompleteTable
from dfud.downloading.part_metadata import PartMetadata, PartName
from dfud.downloading.parts_folder import PartsFolder
from dfud.downloading.settings import FetchSettings
from dfud.downloading.shortfalls import Shortfalls
from dfud.downloading.supervisor import DownloadSupervisor
from dfud.errors import EXIT_OK, EXIT_UNDELIVERED
from dfud.files.open_folder import OpenFolder
from dfud.messages import (
    BrokerOutage,
    CaughtUp,
    CommitFailed,
    Fetched,
    Gap,
    Merge,
    Notice,
    PartReport,
    Release,
    Released,
    Stop,
    TopicReplaced,
)
from tests.helpers.fake_workers import FakePool, FakeUser, FakeWorker

NOTHING = Fetched((0,) * 11)
PART = b"p" * 16


class Lines(logging.Handler):
    """A log in memory."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


class Bench:
    """A supervisor with two fetchers, and everything around it."""

    def __init__(self, directory: Path, once: bool) -> None:
        self.now = 100.0
        self.parts = directory / "parts"
        self.parts.mkdir()
        self.folder = PartsFolder(os.open(self.parts, os.O_RDONLY | os.O_DIRECTORY))
        logs = OpenFolder(str(directory.parent), directory.name)
        table = IncompleteTable(logs, "T")
        self.table = Path(table.path)
        log = logging.Logger("test")
        lines = Lines()
        log.addHandler(lines)
        self.log = lines.lines
        self.pool = FakePool()
        self.fetchers: list[FakeWorker] = []  # the present ones last
        self.user = FakeUser()
        settings = FetchSettings(str(directory), "parts", "T", {}, 2, {0: 10} if once else None, "")
        self.topics: list[str] = []  # ids that were recorded
        self.supervisor = DownloadSupervisor(
            table,
            settings,
            self.folder,
            cast("Any", self),
            self.user.context(),
            log,
            Shortfalls("T", "id", log),
            self.topics.append,
            lambda: self.now,
        )
        self.supervisor._start_fetchers()

    # -- the pool

    def start(self, name: str, link: Any, run: Any, args: tuple[Any, ...]) -> FakeWorker:
        self.fetchers.append(self.pool.start(name, link))
        return self.fetchers[-1]

    def discard(self, worker: FakeWorker) -> None:
        self.pool.discard(worker)

    def shut_down(self) -> None:
        self.kill_all()

    def kill_all(self) -> None:
        self.pool.kill_all()

    # -- what is done

    def step(self) -> None:
        """Let the supervisor handle all that was sent, without ever waiting."""
        for _ in range(3):
            self.user.send()
            self.supervisor._run_once()

    def end(self, *last: Any) -> int:
        """Let the fetchers exit in an orderly way, the first after `last`; return the exit status."""
        present = self.fetchers[-2:]
        present[0].report(*last or (NOTHING,))
        for fetcher in present:
            cast("Any", fetcher.process).exitcode = 0
        self.supervisor._stop_fetchers()
        assert all(fetcher.received()[-1] == Stop() for fetcher in present)
        status = self.supervisor._finish()
        self.summary = self.log.pop()
        return status

    def add_part(self, path: bytes, spans: list[tuple[int, int]], failure: str = "") -> None:
        name = PartName.new(os.urandom(16), 0)
        os.close(self.folder.create(name))
        metadata = PartMetadata(path, 10, 1, 5, XXH3_128, "", RangeSet(spans), failure)
        self.folder.write_metadata(name, metadata.to_json())
        self.folder.publish_metadata(name)

    def close_all(self) -> None:
        self.pool.close_all()
        self.user.close()
        os.close(self.folder.dir_fd)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path, once=False)
    yield made
    made.close_all()


@pytest.fixture
def once(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path, once=True)
    yield made
    made.close_all()


def test_counts_of_all_fetchers_are_added_and_logged_now_and_then(bench: Bench) -> None:
    first, second = bench.fetchers
    first.report(Fetched((3, 3_000_000, *[0] * 8)), Notice(logging.WARNING, "a notice"))
    second.report(Fetched((1, 0, 1, *[0] * 7)))
    bench.step()
    bench.step()
    summary = "4 messages read, 3.0 MB, 1 file completed"
    assert bench.log == ["a notice", summary]
    second.report(Fetched((1, *[0] * 9)))
    bench.step()
    assert bench.log == ["a notice", summary]
    bench.now += 5
    bench.step()
    assert bench.log[2:] == ["5 messages read, 3.0 MB, 1 file completed"]
    assert bench.end() == EXIT_OK
    assert len(bench.log) == 3, "the same counts are logged twice"
    assert bench.summary == "summary: 1 file, 3.0 MB, 5.0 s, 600.0 kB/s, 0 failed, 0 left"


def test_once_ends_when_all_fetchers_have_caught_up_and_nothing_is_being_merged(once: Bench) -> None:
    first, second = once.fetchers
    first.report(PartReport(PART, 10, ((1, 5),)), CaughtUp())
    once.step()
    assert not once.supervisor._is_stopping
    second.report(PartReport(PART, 10, ((6, 10),)), CaughtUp())
    once.step()
    assert not once.supervisor._is_stopping, "the parts of a file are not merged"
    assert first.received() == [Release(PART)]
    released = Released(PART, "name", 10, "", ((1, 5),))
    first.report(released)
    once.step()
    assert second.received() == [Merge(PART, (released,))]
    assert once.supervisor._is_stopping
    assert once.end() == EXIT_OK


def test_outages_and_failing_commits_are_reported_once_for_all_fetchers(bench: Bench) -> None:
    first, second = bench.fetchers
    for worker, message in (
        (first, BrokerOutage("refused")), (second, BrokerOutage("refused")), (first, BrokerOutage("")),
        (second, BrokerOutage("")), (first, CommitFailed("not allowed")), (first, CommitFailed("not allowed")),
        (second, CommitFailed("not allowed")),
        (first, CommitFailed("")), (second, CommitFailed("")),
    ):  # fmt: skip
        worker.report(message)
        bench.step()
    failing = "cannot commit offsets: not allowed; the next run reads again what was not committed"
    assert bench.log == [
        "broker unreachable (refused): retrying; nothing is lost",
        "broker reachable again: downloading resumed",
        failing,
        "committing offsets works again",
    ]
    assert bench.end() == EXIT_OK


def test_a_fetcher_that_cannot_commit_at_the_end_makes_the_status_1(bench: Bench) -> None:
    assert bench.end(CommitFailed("the broker did not answer"), NOTHING) == EXIT_UNDELIVERED
    assert bench.log[-1] == "some offsets could not be committed: the next run reads those messages again"


def test_a_death_restarts_all_fetchers_and_forgets_what_they_had(bench: Bench) -> None:
    first, second = bench.fetchers
    first.report(PartReport(PART, 10, ((1, 5),)))
    bench.step()
    (bench.parts / f"{PartName.new(PART, 0)}.part").touch()  # no metadata: nothing of it was committed
    second.die()
    bench.step()
    assert bench.log == ["fetcher-1 was killed by SIGKILL: restarting all fetchers"]
    assert [fetcher.name for fetcher in bench.fetchers] == ["fetcher-0", "fetcher-1"] * 2
    assert first.process.exitcode == -signal.SIGKILL
    assert os.listdir(bench.parts) == []
    bench.fetchers[3].report(PartReport(PART, 10, ((6, 10),)))
    bench.step()
    assert bench.fetchers[2].received() == []
    assert bench.end() == EXIT_OK


def test_quit_ends_in_an_orderly_way_and_a_second_interrupt_at_once(bench: Bench) -> None:
    bench.user.type("quit")
    bench.supervisor._run_once()
    assert bench.supervisor._is_stopping
    bench.user.send(signal.SIGINT, signal.SIGINT)
    bench.supervisor._run_once()
    assert bench.log == [
        "quit: saving what was read",
        "SIGINT: already saving what was read; a second Ctrl-C stops immediately",
        "stopped immediately; the next run reads again what was not committed",
    ]
    assert bench.supervisor._finish() == EXIT_UNDELIVERED


def test_what_is_incomplete_is_listed(bench: Bench) -> None:
    bench.add_part(b"half", [(1, 5)])
    bench.user.type("check")
    bench.step()
    assert bench.user.lines == [
        "0 messages read, 0.0 MB, 0 files completed",
        "  0 bytes read, 0 files completed, broker reachable, waiting for messages",
        "half is incomplete: 5 of 10 bytes received; missing chunks: 2",
    ]
    assert bench.end() == EXIT_UNDELIVERED
    assert bench.log[-2:] == [bench.user.lines[-1], f"1 file is incomplete on the topic; see {bench.table}"]


def test_complete_files_that_are_not_in_place_make_the_status_1(bench: Bench) -> None:
    for number in range(25):
        bench.add_part(b"%d" % number, [(1, 10)], "its digest does not match")
    assert bench.end() == EXIT_UNDELIVERED
    assert len(bench.log) == 1 + 20 + 2
    assert bench.log[1].endswith(" is complete, but its digest does not match")
    assert bench.log[-2:] == [
        f"5 more files: see {bench.table}",
        f"25 complete files could not be put in place; see {bench.table}",
    ]
    with open(bench.table, newline="") as file:
        assert len(list(csv.DictReader(file))) == 25


def test_a_table_that_cannot_be_written_is_reported(bench: Bench) -> None:
    bench.table.mkdir()
    assert bench.end() == EXIT_OK
    assert bench.log[-1] == f"cannot write {bench.table}: Is a directory"


def test_what_is_missing_is_remembered_over_restarts_and_makes_the_status_1(once: Bench) -> None:
    gap = Gap("id", 1, 5, 6, "deleted", "")
    once.fetchers[0].report(gap)
    once.step()
    once.fetchers[0].die()
    once.step()
    once.fetchers[2].report(gap, TopicReplaced("new"))
    once.fetchers[3].report(TopicReplaced("new"))
    once.step()
    assert once.topics == ["new"]
    assert (once.supervisor._settings.topic_id, once.supervisor._settings.ends) == ("new", {})
    assert once.end() == EXIT_UNDELIVERED
    assert sum("partition 1: offsets 5-6 were deleted" in line for line in once.log) == 1
    assert sum("was deleted and made anew" in line for line in once.log) == 1
