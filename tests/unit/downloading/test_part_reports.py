"""What the supervisor learns about parts."""

from __future__ import annotations

import pytest

from dfud.downloading import part_reports as module
from dfud.messages import PartReport
from tests.helpers.downloading import native, openmsi
from tests.helpers.fetching import DATA, NOW, Bench, F, bench, identity

__all__ = ["bench"]


def test_only_changes_are_reported(bench: Bench) -> None:
    spread, native_file = openmsi(b"o", DATA, 1.7e9), native(b"f", DATA, NOW)
    bench.take(spread[0], native_file[0])
    assert bench.store.reports.take_often() == [PartReport(identity(spread[0]), None, ((1, 1000),))]
    assert bench.store.reports.take_all() == [PartReport(F, 3500, ((1, 1000),))]
    assert bench.store.reports.take_all() == []
    bench.take(*native_file[1:], spread[3])
    assert bench.store.reports.take_all() == [
        PartReport(F, None, ()),  # it is in place
        PartReport(identity(spread[0]), 3500, ((1, 1000), (3001, 3500))),
    ]
    bench.save()
    bench.restart()
    assert bench.store.reports.take_all() == [PartReport(identity(spread[0]), 3500, ((1, 1000), (3001, 3500)))]
    assert bench.store.reports.take_all() == []


def test_what_no_other_fetcher_can_complete_is_not_reported(bench: Bench) -> None:
    bench.take(*native(b"f", DATA, NOW))
    bench.take_again()  # found in place
    bench.take(*native(b"g", DATA, NOW, xxh3_128=b"0" * 32))
    assert bench.store.reports.take_all() == []


def test_a_part_of_many_ranges_is_reported_less_often(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MAX_OFTEN_RANGES", 2)
    records = openmsi(b"o", DATA, 1.7e9)
    bench.take(records[0], records[2])
    assert bench.store.reports.take_often() == []
    assert len(bench.store.reports.take_all()) == 1
