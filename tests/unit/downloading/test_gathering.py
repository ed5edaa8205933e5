"""Files whose chunks have come to several fetchers."""

from __future__ import annotations

from dfud.downloading.gathering import Gathering
from dfud.messages import Give, Given, Holds, Merge

PART = b"p" * 16


def test_nothing_is_done_while_bytes_are_missing_or_one_has_all() -> None:
    gathering = Gathering()
    assert gathering.holds(0, Holds(PART, 30, ((1, 10),))) == []
    assert gathering.holds(1, Holds(PART, 30, ((11, 20),))) == []
    assert gathering.holds(1, Holds(b"other", 5, ((1, 5),))) == []
    assert not gathering.is_busy


def test_the_last_to_report_makes_the_file_whole() -> None:
    gathering = Gathering()
    gathering.holds(0, Holds(PART, None, ((1, 10),)))
    gathering.holds(1, Holds(PART, 30, ((11, 20),)))
    assert gathering.holds(2, Holds(PART, None, ((21, 30),))) == [(0, Give(PART)), (1, Give(PART))]
    assert gathering.is_busy
    first = Given(PART, "a", None, "", ((1, 10),))
    second = Given(PART, "b", 30, "d", ((11, 20),))
    assert gathering.given(1, second) == []
    assert gathering.given(0, first) == [(2, Merge(PART, (second, first)))]
    assert not gathering.is_busy


def test_who_has_nothing_any_more_gives_nothing() -> None:
    gathering = Gathering()
    gathering.holds(0, Holds(PART, 20, ((1, 10),)))
    gathering.holds(1, Holds(PART, 20, ((11, 20),)))
    assert gathering.given(0, Given(PART, "", None, "", ())) == [(1, Merge(PART, ()))]
    gathering.holds(0, Holds(PART, 20, ((1, 10),)))
    assert gathering.holds(0, Holds(PART, None, ())) == []
    assert gathering.holds(1, Holds(PART, 20, ((11, 20),))) == []
