"""The order of the rows of several lanes."""

from __future__ import annotations

from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st

from dfud.logs.completed.merging import LaneTimes, by_lane, merge_lanes, parse_time

Row = tuple[int, int, int]  # time, lane, number


@given(st.lists(st.lists(st.lists(st.integers(0, 20), max_size=5), max_size=4), max_size=4))
def test_rows_are_merged_by_time_and_each_lane_keeps_its_order(lanes: list[list[list[int]]]) -> None:
    timed: list[Iterator[list[tuple[float, Row]]]] = []
    expected: list[Row] = []
    for lane, batches in enumerate(lanes):
        latest = 0
        lists: list[list[tuple[float, Row]]] = []
        for batch in batches:
            lists.append([])
            for time in batch:
                latest = max(latest, time)
                lists[-1].append((float(latest), (latest, lane, len(expected))))
                expected.append((latest, lane, len(expected)))
        timed.append(iter(lists))
    merged = list(merge_lanes(timed))
    assert sorted(merged) == sorted(expected)
    assert [time for time, _, _ in merged] == sorted(time for time, _, _ in expected)
    for lane in range(len(lanes)):
        assert [each for each in merged if each[1] == lane] == [each for each in expected if each[1] == lane]


def test_shards_belong_to_their_lanes() -> None:
    paths = ["T~p1_3.csv", "T~p0_10.csv", "T~p0_9.csv", "T_p1.csv"]
    assert by_lane(paths) == [["T_p1.csv", "T~p1_3.csv"], ["T~p0_9.csv", "T~p0_10.csv"]]


def test_a_lane_goes_back_in_time_for_nobody() -> None:
    time_of = LaneTimes()
    late = parse_time("2026-11-24T18:00:00.000001+01:00")
    texts = (
        "2026-11-24T18:00:00.000001+01:00",
        "2026-11-24T17:00:00.000000+01:00",
        "",
        "2026-11-24T17:00:01+00:00",
    )
    assert [time_of(text) - late > 0.5 for text in texts] == [False, False, False, True]
    assert parse_time("2026-11-24T18:00:00.000+01:00") == parse_time("2026-11-24T17:00:00.000+00:00")
