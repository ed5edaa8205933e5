"""What is missing is reported once, and makes the status 1."""

from __future__ import annotations

import logging

import pytest

from dfud.downloading.shortfalls import Shortfalls
from dfud.messages import Gap, Hidden


@pytest.fixture
def shortfalls() -> Shortfalls:
    return Shortfalls("T", "id", logging.getLogger("test_shortfalls"))


def gap(first: int, last: int, partition: int = 0) -> Gap:
    return Gap("id", partition, first, last, "damaged", "bad")


def test_nothing_is_missing(shortfalls: Shortfalls, caplog: pytest.LogCaptureFixture) -> None:
    assert not shortfalls.add_replaced("id")
    assert not shortfalls.finish()
    assert caplog.messages == []


def test_a_gap_that_is_found_again_is_reported_as_far_as_it_has_grown(
    shortfalls: Shortfalls, caplog: pytest.LogCaptureFixture
) -> None:
    for each in (gap(0, 9), gap(0, 9), gap(5, 10), gap(0, 9, partition=1)):
        shortfalls.add_gap(each)
    assert caplog.messages == [
        "partition 0: offsets 0-9 cannot be read and are skipped: bad",
        "partition 0: offset 10 cannot be read and is skipped: bad",
        "partition 1: offsets 0-9 cannot be read and are skipped: bad",
    ]
    assert shortfalls.finish()
    assert caplog.messages[-1] == "not read of topic T: partition 0: offsets 0-10; partition 1: offsets 0-9"


def test_a_transaction_counts_only_while_it_is_open(
    shortfalls: Shortfalls, caplog: pytest.LogCaptureFixture
) -> None:
    for hidden in (Hidden(3, 5, 6), Hidden(3, 5, 6)):
        shortfalls.set_hidden(hidden)
    assert caplog.messages == ["partition 3: offsets 5-6 cannot be read before a transaction ends that is open"]
    shortfalls.set_hidden(Hidden(3, 0, -1))
    assert not shortfalls.finish()
    shortfalls.set_hidden(Hidden(3, 5, 6))
    assert shortfalls.finish()
    assert caplog.messages[-1] == "not read of topic T: partition 3: offsets 5-6 (open transaction)"


def test_a_topic_is_gone_for_all_fetchers_or_refused_to_some(
    shortfalls: Shortfalls, caplog: pytest.LogCaptureFixture
) -> None:
    for fetcher, is_gone in ((0, True), (1, True), (0, False), (1, False)):
        shortfalls.set_gone(fetcher, is_gone)
    for fetcher, reason in ((0, "no"), (1, "no"), (0, ""), (1, "")):
        shortfalls.set_refusal(fetcher, reason)
    assert [text.partition(":")[0] for text in caplog.messages] == [
        "topic T was deleted", "topic T is there again", "cannot read topic T", "reading topic T works again",
    ]  # fmt: skip
    assert not shortfalls.finish()
    shortfalls.set_refusal(1, "no")
    assert shortfalls.finish()
