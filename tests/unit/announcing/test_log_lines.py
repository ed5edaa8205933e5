"""Lines of the log wait to be sent, but not without bound, and none is missing without a word."""

from __future__ import annotations

import json
import logging

import pytest

from dfud.announcing import log_lines
from dfud.announcing.log_lines import UNANNOUNCED, LogLines
from dfud.logs.upload_status import UploadStatus


class Bench:
    def __init__(self, max_lines: int = 100) -> None:
        self.lines = LogLines(max_lines, lambda: 1.5)
        self.log = logging.Logger("test", logging.DEBUG)
        self.log.addHandler(self.lines)

    def take(self, number: int) -> list[str]:
        """Return the lines of a message."""
        value = json.loads(self.lines.take(number, self._describe))
        assert value["timestamp"] == 1.5
        messages: list[str] = value["messages"]
        return messages

    def _describe(self) -> UploadStatus:
        raise AssertionError("it visits all files in progress")


@pytest.fixture
def small_messages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Messages have room for two lines of eight characters."""
    monkeypatch.setattr(log_lines, "_MESSAGE_BYTES", 20)


def test_a_message_has_the_lines_as_the_console_shows_them() -> None:
    bench = Bench()
    bench.log.info("café %s", "\x1b[2J")
    bench.log.warning("two\nlines")
    assert bench.take(1) == ["café \\x1b[2J", "WARNING: two\nlines"]
    assert bench.take(2) == []


def test_a_line_about_the_topic_of_the_lines_is_not_one_of_them() -> None:
    bench = Bench()
    bench.log.warning("cannot send", extra=UNANNOUNCED)
    assert not bench.lines.has_more


def test_a_failed_message_is_sent_again_before_what_came_later() -> None:
    bench = Bench()
    for text in ("one", "two"):
        bench.log.info(text)
    bench.take(1)
    bench.log.info("three")
    bench.lines.on_failed(1, False)
    assert bench.take(2) == ["one", "two", "three"]
    bench.lines.on_sent(2)
    assert not bench.lines.has_more


def test_the_oldest_lines_are_dropped_and_counted() -> None:
    bench = Bench(max_lines=2)
    for text in ("one", "two", "three"):
        bench.log.info(text)
    notice = "WARNING: 1 line before this one could not be sent in time, and was dropped"
    assert bench.take(1) == [notice, "two", "three"]
    bench.log.info("four")
    bench.lines.on_failed(1, False)
    notice = "WARNING: 2 lines before this one could not be sent in time, and were dropped"
    assert bench.take(2) == [notice, "three", "four"]
    bench.lines.on_sent(2)
    bench.log.info("five")
    assert bench.take(3) == ["five"]


def test_long_lines_are_bounded_by_their_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_lines, "_MAX_BYTES", 30)
    bench = Bench()
    for text in ("a" * 20, "b" * 20):
        bench.log.info(text)
    assert bench.take(1)[1:] == ["b" * 20]


@pytest.mark.usefixtures("small_messages")
def test_what_one_message_has_no_room_for_is_in_the_next() -> None:
    bench = Bench()
    for text in ("12345678", "22345678", "32345678", "4" * 100):
        bench.log.info(text)
    assert bench.take(1) == ["12345678", "22345678"]
    assert bench.lines.has_more
    assert bench.take(2) == ["32345678"]
    assert bench.take(3) == ["4" * 100]
    assert not bench.lines.has_more


@pytest.mark.usefixtures("small_messages")
def test_what_the_topic_finds_too_large_is_sent_in_smaller_messages() -> None:
    bench = Bench()
    for text in ("12345678", "22345678"):
        bench.log.info(text)
    bench.take(1)
    bench.lines.on_failed(1, True)
    assert bench.take(2) == ["12345678"]
    bench.lines.on_failed(2, True)  # too large even alone
    assert bench.take(3)[1:] == ["22345678"]
