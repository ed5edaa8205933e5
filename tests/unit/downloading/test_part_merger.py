"""Files whose chunks were received by several fetchers."""

from __future__ import annotations

from dfud.downloading.part_merger import PartMerger
from dfud.messages import Merge, PartReport, Release, Released

PART = b"p" * 16


def test_nothing_is_merged_while_bytes_are_missing_or_one_fetcher_has_all() -> None:
    merger = PartMerger()
    assert merger.on_report(0, PartReport(PART, 30, ((1, 10),))) == []
    assert merger.on_report(1, PartReport(PART, 30, ((11, 20),))) == []
    assert merger.on_report(1, PartReport(b"other", 5, ((1, 5),))) == []
    assert not merger.is_busy


def test_the_last_fetcher_to_report_merges() -> None:
    merger = PartMerger()
    merger.on_report(0, PartReport(PART, None, ((1, 10),)))
    merger.on_report(1, PartReport(PART, 30, ((11, 20),)))
    assert merger.on_report(2, PartReport(PART, None, ((21, 30),))) == [(0, Release(PART)), (1, Release(PART))]
    assert merger.is_busy
    first = Released(PART, "a", None, "", ((1, 10),))
    second = Released(PART, "b", 30, "d", ((11, 20),))
    assert merger.on_released(1, second) == []
    assert merger.on_released(0, first) == [(2, Merge(PART, (second, first)))]
    assert not merger.is_busy


def test_a_fetcher_that_has_nothing_left_releases_nothing() -> None:
    merger = PartMerger()
    merger.on_report(0, PartReport(PART, 20, ((1, 10),)))
    merger.on_report(1, PartReport(PART, 20, ((11, 20),)))
    assert merger.on_released(0, Released(PART, "", None, "", ())) == [(1, Merge(PART, ()))]
    merger.on_report(0, PartReport(PART, 20, ((1, 10),)))
    assert merger.on_report(0, PartReport(PART, None, ())) == []
    assert merger.on_report(1, PartReport(PART, 20, ((11, 20),))) == []
