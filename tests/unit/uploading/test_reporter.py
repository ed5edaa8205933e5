"""The log stays readable at any rate of files, by a fake clock."""

from __future__ import annotations

import logging
import os
import re

import pytest

from dfud.core.version import FileVersion
from dfud.uploading.entry import Entry
from dfud.uploading.ledger_state import Progress
from dfud.uploading.reporter import UploadReporter, log_undelivered, summary


class Lines(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


@pytest.fixture
def lines() -> Lines:
    return Lines()


@pytest.fixture
def reporter(lines: Lines) -> UploadReporter:
    log = logging.Logger("test")
    log.addHandler(lines)
    return UploadReporter(log)


def entry(number: int, chunks: int = 3) -> Entry:
    return Entry(number, FileVersion(b"folder/file%d" % number, chunks * 10, 0), 10, "now")


def test_a_line_a_file_while_they_are_few(reporter: UploadReporter, lines: Lines) -> None:
    reporter.on_enqueued(entry(1), 5.0)
    reporter.on_completed(entry(1), 5.1)
    assert lines.lines == []  # what is urgent goes first
    reporter.tick(5.1, busy=False)
    assert lines.lines == ["folder/file1: broken into 3 chunks", "folder/file1: all 3 chunks acknowledged"]
    assert reporter.due(busy=False) is None


def test_one_chunk_is_not_all_chunks(reporter: UploadReporter, lines: Lines) -> None:
    reporter.on_completed(entry(1, chunks=1), 5.0)
    reporter.tick(5.0, busy=False)
    assert lines.lines == ["folder/file1: 1 chunk acknowledged"]


def test_braces_and_percent_signs_in_names(reporter: UploadReporter, lines: Lines) -> None:
    reporter.on_enqueued(Entry(1, FileVersion(b"{}%s{0}", 10, 0), 10, "now"), 5.0)
    reporter.tick(5.0, busy=True)
    assert lines.lines == ["{}%s{0}: broken into 1 chunk"]


def test_many_files_give_few_lines_and_none_is_missing(reporter: UploadReporter, lines: Lines) -> None:
    for number in range(30_000):
        now = 100 + number / 10_000
        reporter.on_enqueued(entry(number), now)
        reporter.on_completed(entry(number), now)
        reporter.tick(now, busy=True)
    assert reporter.due(busy=False) == pytest.approx(103.0, abs=0.001)
    reporter.tick(103.1, busy=False)
    assert reporter.due(busy=False) is None
    assert len(lines.lines) < 150
    for ending in ("broken into", "all"):
        single = [line for line in lines.lines if re.match(rf"folder/file\d+: {ending}", line)]
        summed = [re.match(rf"([\d,]+) more files?: {ending} ([\d,]+) chunks", line) for line in lines.lines]
        files = sum(int(match[1].replace(",", "")) for match in summed if match)
        chunks = sum(int(match[2].replace(",", "")) for match in summed if match)
        assert len(single) + files == 30_000
        assert chunks == 3 * files


def test_progress_is_reported_every_few_seconds_of_work(reporter: UploadReporter, lines: Lines) -> None:
    reporter.tick(100.0, busy=True)
    assert lines.lines == []  # nothing to report yet
    reporter.on_acked(10, 5_000_000)
    assert reporter.due(busy=True) == 105.0
    reporter.tick(104.9, busy=True)
    assert lines.lines == []
    reporter.tick(105.0, busy=True)
    assert lines.lines == ["10 chunks acknowledged so far, 1.0 MB/s"]
    reporter.tick(200.0, busy=False)
    reporter.tick(204.0, busy=True)
    assert len(lines.lines) == 1


def test_progress_is_not_reported_while_there_is_none(reporter: UploadReporter, lines: Lines) -> None:
    reporter.tick(100.0, busy=True)
    reporter.on_acked(10, 5_000_000)
    for second in range(101, 200):
        reporter.tick(float(second), busy=True)
    assert lines.lines == ["10 chunks acknowledged so far, 1.0 MB/s"]
    reporter.on_acked(1, 50)
    reporter.tick(200.0, busy=True)
    assert lines.lines[1:] == ["11 chunks acknowledged so far, 10 B/s"]


def test_the_rate_of_a_slow_broker(reporter: UploadReporter) -> None:
    """It is known from the first acknowledgement on, over the time since there was something to wait for."""
    reporter.tick(100.0, busy=False)
    reporter.tick(200.0, busy=True)
    assert reporter.slow_rate(203.0) == 0
    reporter.on_acked(1, 30_000)
    assert reporter.slow_rate(203.0) == 10_000
    for second in range(204, 221):
        reporter.tick(float(second), busy=True)
    assert reporter.rate(220.0) == 0
    assert reporter.slow_rate(220.0) == 1_500


def test_the_answer_to_check() -> None:
    assert summary(Progress(2, 0, 30, 4)) == ("2 files enqueued or in progress: 4 of 30 chunks acknowledged")
    assert summary(Progress(0, 1, 0, 0)).endswith("; 1 file could not be delivered")


def failed(number: int, named: str) -> Entry:
    made = entry(number)
    made.failure, made.named = "EACCES", named
    return made


@pytest.mark.parametrize(("n_named", "n_lines"), [(0, 0), (20, 20), (21, 21), (5_100, 21)])
def test_what_was_not_delivered_is_named_at_the_end_unless_it_was_named_and_is_much(
    lines: Lines, n_named: int, n_lines: int
) -> None:
    log = logging.Logger("test")
    log.addHandler(lines)
    entries = [failed(number, "EACCES") for number in range(n_named)]
    new = [failed(number, named) for number in range(n_named, n_named + 30) for named in ("", "EIO")]
    log_undelivered([*entries, *new], log)
    for each in new:
        assert f"{os.fsdecode(each.version.path)} not delivered: EACCES" in lines.lines
    assert len(lines.lines) == n_lines + len(new)
    if n_named > 20:
        files = "1 more file" if n_named == 21 else f"{n_named - 20:,} more files"
        assert lines.lines[-1] == f"{files} not delivered: each is named above"
