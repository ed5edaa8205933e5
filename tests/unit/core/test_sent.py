"""Which of two messages was sent last."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dfud.core.sent import Sent

SENT = st.builds(
    Sent,
    st.sampled_from(["", "sLhTzZ8pQ1m0oA"]),
    st.integers(0, 9),
    st.integers(0, 2**63 - 1),
    st.integers(-1, 2**60),
)


def test_in_one_partition_the_offset_decides_even_if_a_clock_was_set_back() -> None:
    assert Sent("a", 1, 11, 5).is_after(Sent("a", 1, 10, 9))


def test_in_two_partitions_the_time_decides() -> None:
    assert Sent("a", 0, 1, 9).is_after(Sent("a", 1, 100, 8))


def test_in_a_topic_that_was_made_anew_the_time_decides() -> None:
    assert Sent("b", 1, 0, 9).is_after(Sent("a", 1, 100, 8))


@given(SENT, SENT)
def test_of_two_messages_at_most_one_is_after_the_other(one: Sent, other: Sent) -> None:
    assert not (one.is_after(other) and other.is_after(one))


@given(SENT)
def test_its_text_is_read_again(sent: Sent) -> None:
    assert Sent.parse(str(sent)) == sent


@pytest.mark.parametrize("text", ["", "a", "a 1 2", "a 1 2 3 4", "a 1 b 3", "a  1 2 3"])
def test_other_text_is_nothing(text: str) -> None:
    assert Sent.parse(text) is None
