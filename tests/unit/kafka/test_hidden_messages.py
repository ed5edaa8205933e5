"""What should follow and cannot be read is reported after some time, once, until it goes on."""

from __future__ import annotations

import pytest

from dfud.kafka.hidden_messages import HiddenMessages, Unread
from dfud.kafka.partition_reader import Batch
from dfud.messages import Hidden


class Watermarks:
    """A consumer that knows only where partition 0 ends."""

    def __init__(self) -> None:
        self.high = 5

    def get_watermark_offsets(self, partition: object, cached: bool) -> tuple[int, int]:
        assert cached, "the broker is not asked"
        return 0, self.high


def at_end(offset: int) -> Batch:
    return Batch([], {0: offset}, [], [], {0: offset})


def test_a_transaction_is_reported_until_it_ends() -> None:
    consumer = Watermarks()
    hidden = HiddenMessages(consumer, "T", 5.0)  # type: ignore[arg-type]
    assert hidden.on_batch(at_end(5)) == []
    assert hidden.due(0.0, None) == []
    consumer.high = 8
    assert [hidden.due(now, None) for now in (1.0, 5.9)] == [[], []]
    assert hidden.due(6.0, None) == [Unread(0, 5, 7, True)]
    assert hidden.due(20.0, None) == []
    assert hidden.on_batch(at_end(8)) == [Hidden(0, 0, -1)]
    assert hidden.due(40.0, None) == []


@pytest.mark.parametrize(("high", "expected"), [(9, Unread(0, 5, 7, True)), (5, Unread(0, 5, 7, False))])
def test_what_is_wanted_and_does_not_follow_is_reported(high: int, expected: Unread) -> None:
    consumer = Watermarks()
    consumer.high = high
    hidden = HiddenMessages(consumer, "T", 5.0)  # type: ignore[arg-type]
    hidden.on_batch(at_end(5))
    assert hidden.due(0.0, {0: 8}) == []
    assert hidden.due(100.0, {0: 8}) == [expected]
    assert hidden.due(200.0, {0: 8}) == []


def test_what_follows_the_wanted_offsets_does_not_count() -> None:
    consumer = Watermarks()
    consumer.high = 9
    hidden = HiddenMessages(consumer, "T", 5.0)  # type: ignore[arg-type]
    hidden.on_batch(at_end(5))
    assert [hidden.due(now, {0: 5}) for now in (0.0, 100.0)] == [[], []]
