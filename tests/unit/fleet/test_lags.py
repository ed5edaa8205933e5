"""How far receivers are behind, by what they have committed, and what is on the topic."""

from __future__ import annotations

import pytest

from dfud.fleet.lags import lag
from dfud.fleet.receivers import Lag


@pytest.mark.parametrize(
    ("positions", "found"),
    [
        ({0: 30, 1: 7}, Lag(0, 0)),
        ({0: 20, 1: 7}, Lag(10, 0)),
        ({0: 6, 1: 0}, Lag(27, 4)),  # the first are gone
        ({0: 30}, Lag(7, 0)),  # a partition that was added
        ({}, Lag(27, 10)),
        ({0: 99, 1: 99, 2: 5}, Lag(0, 0)),
    ],
)
def test_messages_that_are_not_read_or_are_gone(positions: dict[int, int], found: Lag) -> None:
    assert lag({0: (10, 30), 1: (0, 7)}, positions) == found
