"""The charts of the benchmarks are well-formed, complete, and in proportion."""

from __future__ import annotations

import re
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.charts import WIDTH, nice_step, render

SVG = "{http://www.w3.org/2000/svg}"


def bars(*medians: float) -> dict[str, Any]:
    """Return a bar chart; the first bar is ours."""
    return {
        "kind": "bars",
        "title": "Speed <of> all & sundry",
        "unit": "MB/s",
        "bars": [
            {"label": f"peer {n}", "min": value / 2, "median": value, "max": value * 1.5, "ours": n == 0}
            for n, value in enumerate(medians)
        ],
    }


def lines(points: list[tuple[float, float]], log: bool) -> dict[str, Any]:
    """Return a chart of one line."""
    return {
        "kind": "lines",
        "title": "t",
        "x": "work",
        "y": "s",
        "log": log,
        "series": [{"label": "a", "points": points}],
    }


def bar_widths(svg: str) -> list[float]:
    """Return the width of each bar (px), including its rounded end."""
    paths = [path.attrib["d"] for path in ElementTree.fromstring(svg).iter(f"{SVG}path")]
    return [float(re.findall(r"h([\d.]+)", path)[0]) + 4 for path in paths]


def test_bars_are_in_proportion_and_labelled() -> None:
    svg = render(bars(100, 50, 25))
    first, second, third = bar_widths(svg)
    assert first == pytest.approx(2 * second, abs=0.2)
    assert second == pytest.approx(2 * third, abs=0.2)
    texts = [text.text for text in ElementTree.fromstring(svg).iter(f"{SVG}text")]
    assert texts == ["Speed <of> all & sundry, MB/s", "peer 0", "100", "peer 1", "50", "peer 2", "25"]


def test_only_our_bar_is_in_colour() -> None:
    kinds = [path.attrib["class"] for path in ElementTree.fromstring(render(bars(1, 2))).iter(f"{SVG}path")]
    assert kinds == ["c0", "other"]


def test_a_chart_follows_the_readers_colour_scheme() -> None:
    assert "@media (prefers-color-scheme: dark)" in render(bars(1))


@given(st.lists(st.tuples(st.floats(0, 1e6), st.floats(0, 1e6)), min_size=1, max_size=20), st.booleans())
def test_lines_stay_within_the_picture(points: list[tuple[float, float]], log: bool) -> None:
    root = ElementTree.fromstring(render(lines(points, log)))
    (curve,) = root.iter(f"{SVG}polyline")
    for corner in curve.attrib["points"].split():
        x, y = map(float, corner.split(","))
        assert 0 <= x <= WIDTH
        assert 0 <= y <= float(root.attrib["height"])


def test_a_straight_line_on_logarithmic_axes_is_straight() -> None:
    (curve,) = ElementTree.fromstring(render(lines([(1, 2), (10, 20), (100, 200)], log=True))).iter(
        f"{SVG}polyline"
    )
    corners = [tuple(map(float, corner.split(","))) for corner in curve.attrib["points"].split()]
    assert corners[1][0] - corners[0][0] == pytest.approx(corners[2][0] - corners[1][0], abs=0.2)
    assert corners[1][1] - corners[0][1] == pytest.approx(corners[2][1] - corners[1][1], abs=0.2)


def test_a_chart_may_be_empty() -> None:
    ElementTree.fromstring(render(bars()))
    ElementTree.fromstring(render(lines([], log=True)))


@given(st.floats(1e-6, 1e9))
def test_a_nice_step_divides_an_axis_into_two_to_six(highest: float) -> None:
    assert highest / 6.001 <= nice_step(highest) <= highest / 1.4
