"""What is counted when and where: nothing is lost, and memory is bounded whatever the tables say."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dfud.core.tables import CompletedRow
from dfud.status_page import folders as folders_module
from dfud.status_page import histogram as histogram_module
from dfud.status_page.folders import OTHERS, FolderTotals
from dfud.status_page.histogram import WIDTHS_S, Histogram, ticks
from dfud.status_page.history import MAX_NEWEST, History

NOW = datetime(2026, 3, 1, 10, tzinfo=timezone(timedelta(hours=2)))
NOW_S = int(NOW.timestamp())


def row(path: str, completed: str, size: int = 1) -> CompletedRow:
    return CompletedRow(path, size, 1, 1, size, "0" * 32, completed, completed)


def test_each_width_divides_the_next() -> None:
    assert all(wider % width == 0 for width, wider in zip(WIDTHS_S, WIDTHS_S[1:]))


@given(st.lists(st.tuples(st.integers(0, 800_000_000), st.integers(0, 10**12)), min_size=1), st.integers(-12, 14))
def test_a_series_has_all_that_was_counted_where_it_belongs(counted: list[tuple[int, int]], shift_h: int) -> None:
    histogram = Histogram(shift_h * 3600)
    for ago_s, size in counted:
        histogram.add(NOW_S - ago_s, size)
    series = histogram.series()
    assert 20 <= (series.end_s - series.start_s) // series.width_s <= 101
    assert sum(each.versions for each in series.bins) == len(counted)
    for each in series.bins:
        inside = [size for ago_s, size in counted if 0 <= NOW_S - ago_s - each.start_s < series.width_s]
        assert (each.versions, each.size) == (len(inside), sum(inside))
        assert series.start_s <= each.start_s < series.end_s
        assert (each.start_s + shift_h * 3600) % series.width_s == 0
    assert all(series.start_s <= tick <= series.end_s for tick in ticks(series, shift_h * 3600, 8))


def test_a_series_goes_on_to_the_present() -> None:
    histogram = Histogram()
    histogram.add(NOW_S - 7200, 1)
    series = histogram.series(NOW_S)
    assert NOW_S < series.end_s <= NOW_S + series.width_s
    assert len(series.bins) == 1


def test_intervals_become_wider_where_there_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(histogram_module, "_MAX_BINS", 100)
    histogram = Histogram()
    for n in range(100_000):
        histogram.add(n * 60, 1)
        assert len(histogram._bins) <= 100
    assert sum(each.versions for each in histogram.series().bins) == 100_000
    assert histogram.range_s >= 6_000_000


def test_of_too_many_folders_the_lower_ones_count_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folders_module, "_MAX_FOLDERS", 10)
    totals = FolderTotals()
    for n in range(100):
        totals.add(f"{n % 5}/{n % 7}/{n % 11}/file", 2, n)
    totals.add("file", 2, 1000)
    assert [(folder, total.versions) for folder, total in totals.latest()] == [
        (".", 1), ("4", 20), ("3", 20), ("2", 20), ("1", 20), ("0", 20),
    ]  # fmt: skip
    assert totals.depth == 1


def test_of_too_many_upper_folders_the_last_ones_count_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folders_module, "_MAX_FOLDERS", 10)
    totals = FolderTotals()
    for n in range(100):
        totals.add(f"{n}/a/b/c/d/file", 2, n)
    latest = totals.latest()
    assert len(latest) <= 12
    assert latest[-1][0] == OTHERS
    assert sum(total.versions for _, total in latest) == 100
    assert sum(total.size for _, total in latest) == 200


@settings(max_examples=20, deadline=None)
@given(st.permutations(range(30)))
def test_the_newest_come_first_in_whatever_order_they_are_read(order: list[int]) -> None:
    history = History(NOW)
    for n in order:
        history.add(row(str(n), (NOW - timedelta(seconds=n * 20, milliseconds=n)).isoformat()))
    assert [int(kept.rel_filepath) for kept in history.newest()] == list(range(30))
    assert history.timeless == 0


def test_only_the_newest_are_kept_and_nothing_long() -> None:
    history = History(NOW)
    for n in range(5_000):
        at = (NOW - timedelta(hours=8) + timedelta(seconds=n)).isoformat()
        history.add(row(f"{n}/" + "x" * 5_000, at))
        assert len(history._newest) < 4 * MAX_NEWEST
    assert [kept.rel_filepath[:6] for kept in history.newest()[:2]] == ["4999/x", "4998/x"]
    assert all(len(kept.rel_filepath) < 1_100 for kept in history.newest())


@pytest.mark.parametrize(
    ("text", "ago_s"),
    [
        ("2026-03-01T10:00:00.123456+02:00", 0),
        ("2026-03-01T10:00:00+02:00", 0),
        ("2026-03-01T07:59:59.999+00:00", 1),
        ("2026-03-01T08:00:00", 0),
        ("2026-03-03T10:00:00+02:00", None),
        ("1970-01-01T00:00:00+00:00", None),
        ("0001-01-01T00:00:00+14:00", None),
        ("", None),
        ("yesterday", None),
        ("2026-03-01T10:00:²²+02:00", None),
    ],
)
def test_a_time_that_cannot_be_right_is_in_no_chart(text: str, ago_s: int | None) -> None:
    history = History(NOW)
    history.add(row("a", (NOW - timedelta(minutes=5)).isoformat()))
    history.add(row("b", text))
    assert history.timeless == (ago_s is None)
    seconds = {each.start_s for each in history.whole.series().bins}
    assert len(seconds) == (1 if ago_s is None else 2)
    assert {kept.rel_filepath for kept in history.newest()} == {"a", "b"}
