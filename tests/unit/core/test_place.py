"""Places on a topic in 16 bytes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dfud.core.place import is_after, pack, unpack
from dfud.core.sent import Sent

PLACES = st.builds(Sent, st.just(""), st.integers(0, 2), st.integers(0, 5), st.integers(-1, 3))


@pytest.mark.parametrize(
    "known",
    [
        Sent("", 3, 12_345_678_901, 1_700_000_000_123),
        Sent("", 0, 0, -1),
        Sent("", 70_000, (1 << 56) - 1, (1 << 48) - 2),
    ],
)
def test_a_place_is_packed_into_16_bytes(known: Sent) -> None:
    assert len(pack(known)) == 16
    assert unpack(pack(known)) == known


def test_a_time_that_no_clock_shows_is_the_latest() -> None:
    assert unpack(pack(Sent("", 0, 1, 1 << 60))).timestamp_ms == (1 << 48) - 2
    assert unpack(pack(Sent("", 0, 1, -(1 << 60)))).timestamp_ms == -1


@given(PLACES, PLACES)
def test_packed_places_have_the_same_order(one: Sent, other: Sent) -> None:
    assert is_after(pack(one), pack(other)) == one.is_after(other)
