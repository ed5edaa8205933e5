"""Charts as SVG for light and dark pages: the colours follow the reader's colour scheme.

Pure: a chart is plain data, as in the results; `benchmarks.benchmark` describes it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any
from xml.sax.saxutils import escape

from benchmarks.benchmark import figure

WIDTH = 720  # px
_STYLE = """
.ground { fill: #fcfcfb } .ink { fill: #1f2328 } .muted { fill: #59636e } .grid { stroke: #e1e4e8 }
.whisker { stroke: #1f2328 } .other { fill: #b8bec6 }
.c0 { fill: #2a78d6 } .c1 { fill: #1baf7a } .c2 { fill: #c98500 }
.l0 { stroke: #2a78d6 } .l1 { stroke: #1baf7a } .l2 { stroke: #c98500 }
text { font: 13px system-ui, -apple-system, "Segoe UI", sans-serif } .title { font-weight: 600; font-size: 14px }
line, polyline { fill: none; stroke-width: 1 } .l0, .l1, .l2 { stroke-width: 2; stroke-linejoin: round }
@media (prefers-color-scheme: dark) {
.ground { fill: #1a1a19 } .ink { fill: #e6edf3 } .muted { fill: #9aa3ad } .grid { stroke: #363a40 }
.whisker { stroke: #e6edf3 } .other { fill: #5c636c } .c0 { fill: #3987e5 } .c1 { fill: #199e70 }
.l0 { stroke: #3987e5 } .l1 { stroke: #199e70 }
}
"""
_COLOURS = 3
_LINE_HEIGHT = 28  # px
_LETTER_WIDTH = 6.9  # px, on average
_MAX_MARKED_POINTS = 12  # of a line; more are drawn without dots


def render(chart: dict[str, Any]) -> str:
    """Return the SVG of a chart of either kind."""
    return bars(chart) if chart["kind"] == "bars" else lines(chart)


def bars(chart: dict[str, Any]) -> str:
    """Return horizontal bars of the medians, with whiskers from minimum to maximum; ours are in colour."""
    all_bars = chart["bars"]
    left = 24 + _LETTER_WIDTH * max((len(bar["label"]) for bar in all_bars), default=0)
    right = 96
    highest = max((bar["max"] for bar in all_bars), default=0) or 1
    scale = (WIDTH - left - right) / highest
    height = 56 + _LINE_HEIGHT * len(all_bars)
    parts = [_text(16, 26, f"{chart['title']}, {chart['unit']}", "ink title")]
    for number, bar in enumerate(all_bars):
        y = 44 + _LINE_HEIGHT * number
        width = max(1.0, bar["median"] * scale)
        middle = y + 10
        parts.append(_text(left - 8, y + 14.5, bar["label"], "ink", "end"))
        parts.append(
            f'<path class="{"c0" if bar["ours"] else "other"}" d="{_bar(left, y, width, 20)}">'
            f"<title>{escape(bar['label'])}: {figure(bar['median'])} {escape(chart['unit'])}</title></path>"
        )
        start, end = left + bar["min"] * scale, left + bar["max"] * scale
        if end - start > 1:
            parts.append(_line(start, middle, end, middle, "whisker"))
            parts += [_line(x, middle - 4, x, middle + 4, "whisker") for x in (start, end)]
        parts.append(_text(max(end, left + width) + 8, y + 14.5, figure(bar["median"]), "ink"))
    return _svg(height, parts, chart["title"])


def lines(chart: dict[str, Any]) -> str:
    """Return lines on linear or logarithmic axes, with a legend at the top."""
    all_series = [series for series in chart["series"] if series["points"]]
    height, left, right, top, bottom = 340, 64, 24, 72, 44
    points = [point for series in all_series for point in series["points"]]
    x_axis = _Axis([x for x, _ in points], left, WIDTH - right, chart["log"])
    y_axis = _Axis([y for _, y in points], height - bottom, top, chart["log"])
    parts = [_text(16, 26, chart["title"], "ink title")]
    for value in y_axis.ticks:
        parts.append(_line(left, y_axis.at(value), WIDTH - right, y_axis.at(value), "grid"))
        parts.append(_text(left - 8, y_axis.at(value) + 4, figure(value), "muted", "end"))
    parts.extend(
        _text(x_axis.at(value), height - bottom + 18, figure(value), "muted", "middle") for value in x_axis.ticks
    )
    parts.append(_text(WIDTH - right, height - 8, chart["x"], "muted", "end"))
    parts.append(_text(16, top - 24, chart["y"], "muted"))
    legend_x = 16 + _LETTER_WIDTH * (len(chart["y"]) + 3)
    for number, series in enumerate(all_series):
        colour = number % _COLOURS
        corners = " ".join(f"{x_axis.at(x):.1f},{y_axis.at(y):.1f}" for x, y in series["points"])
        parts.append(f'<polyline class="l{colour}" points="{corners}"/>')
        if len(series["points"]) <= _MAX_MARKED_POINTS:
            parts += [
                f'<circle class="c{colour}" cx="{x_axis.at(x):.1f}" cy="{y_axis.at(y):.1f}" r="4">'
                f"<title>{figure(x)}: {figure(y)}</title></circle>"
                for x, y in series["points"]
            ]
        parts.append(f'<rect class="c{colour}" x="{legend_x:.1f}" y="{top - 33}" width="12" height="10" rx="2"/>')
        parts.append(_text(legend_x + 18, top - 24, series["label"], "ink"))
        legend_x += 42 + _LETTER_WIDTH * len(series["label"])
    return _svg(height, parts, chart["title"])


class _Axis:
    """Maps values to positions between `start` and `end` (px), and chooses which values are labelled."""

    def __init__(self, values: Sequence[float], start: float, end: float, log: bool) -> None:
        self._start, self._end, self._log = start, end, log
        if log:
            positive = [value for value in values if value > 0] or [1.0]
            low, high = math.floor(math.log10(min(positive))), math.ceil(math.log10(max(positive)))
            self._low, self._high = float(low), float(max(high, low + 1))
            self.ticks = [10.0**power for power in range(low, int(self._high) + 1)]
        else:
            step = nice_step(max(values, default=0))
            count = max(1, math.ceil(max(values, default=0) / step))
            self._low, self._high = 0.0, count * step
            self.ticks = [step * number for number in range(count + 1)]

    def at(self, value: float) -> float:
        """Return the position of `value` (px)."""
        scaled = value if not self._log else math.log10(value) if value > 0 else self._low
        fraction = (scaled - self._low) / (self._high - self._low)
        return self._start + fraction * (self._end - self._start)


def nice_step(highest: float) -> float:
    """Return a step of 1, 2 or 5 times a power of ten that divides 0 to `highest` into three to six.

    >>> nice_step(100), nice_step(7), nice_step(0)
    (20.0, 2.0, 1.0)
    """
    if highest < 1e-300:  # nothing to be seen, and a third of it may underflow to 0
        return 1.0
    power = 10.0 ** math.floor(math.log10(highest / 3))
    return next(step * power for step in (1, 2, 5, 10) if highest / (step * power) <= 6)


def _bar(x: float, y: float, width: float, height: float) -> str:
    """Return the path of a bar whose far end is rounded."""
    radius = min(4.0, width)
    return (
        f"M{x:.1f} {y}h{width - radius:.1f}a{radius:g} {radius:g} 0 0 1 {radius:g} {radius:g}"
        f"v{height - 2 * radius:g}a{radius:g} {radius:g} 0 0 1 -{radius:g} {radius:g}H{x:.1f}z"
    )


def _text(x: float, y: float, text: str, kind: str, anchor: str = "start") -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    return f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def _svg(height: float, parts: Sequence[str], title: str) -> str:
    return "\n".join(_document(height, parts, title))


def _document(height: float, parts: Sequence[str], title: str) -> Iterator[str]:
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:g}" width="{WIDTH}" '
        f'height="{height:g}" role="img" aria-label="{escape(title, {chr(34): "&quot;"})}">'
    )
    yield f"<style>{_STYLE}</style>"
    yield f'<rect class="ground" width="{WIDTH}" height="{height:g}" rx="8"/>'
    yield from parts
    yield "</svg>\n"
