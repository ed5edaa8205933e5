"""Files whose chunks have come to several fetchers."""

from __future__ import annotations

from dfud.downloading.part_merger import PartMerger
from dfud.messages import Merge, PartReport, Release, Released

PART = b"p" * 16


def test_nothing_is_done_while_bytes_are_missing_or_one_has_all() -> None:
    gathering = PartMerger()
    assert gathering.on_report(0, PartReport(PART, 30, ((1, 10),))) == []
    assert gathering.on_report(1, PartReport(PART, 30, ((11, 20),))) == []
    assert gathering.on_report(1, PartReport(b"other", 5, ((1, 5),))) == []
    assert not gathering.is_busy


def test_the_last_to_report_makes_the_file_whole() -> None:
    gathering = PartMerger()
    gathering.on_report(0, PartReport(PART, None, ((1, 10),)))
    gathering.on_report(1, PartReport(PART, 30, ((11, 20),)))
    assert gathering.on_report(2, PartReport(PART, None, ((21, 30),))) == [(0, Release(PART)), (1, Release(PART))]
    assert gathering.is_busy
    first = Released(PART, "a", None, "", ((1, 10),))
    second = Released(PART, "b", 30, "d", ((11, 20),))
    assert gathering.on_released(1, second) == []
    assert gathering.on_released(0, first) == [(2, Merge(PART, (second, first)))]
    assert not gathering.is_busy


def test_who_has_nothing_any_more_gives_nothing() -> None:
    gathering = PartMerger()
    gathering.on_report(0, PartReport(PART, 20, ((1, 10),)))
    gathering.on_report(1, PartReport(PART, 20, ((11, 20),)))
    assert gathering.on_released(0, Released(PART, "", None, "", ())) == [(1, Merge(PART, ()))]
    gathering.on_report(0, PartReport(PART, 20, ((1, 10),)))
    assert gathering.on_report(0, PartReport(PART, None, ())) == []
    assert gathering.on_report(1, PartReport(PART, 20, ((11, 20),))) == []
