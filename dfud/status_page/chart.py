"""Charts of what was completed when, as SVG in the page: widths in percent, so that text stays readable."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone

from dfud.core.sizes import shown_size
from dfud.core.text import counted
from dfud.status_page.histogram import Bin, Series, ticks
from dfud.status_page.markup import Html, element, text

_HEIGHT = 150  # px of the bars
_TOP, _AXIS = 12, 26  # px above the bars, and below them
_MAX_TICKS = 8
_GAP = 0.12  # of the width of an interval, between two bars


def chart(series: Series, shift_s: int) -> Html:
    """Return the charts of bytes and of versions, and a table of both; clocks here are `shift_s` ahead of UTC."""
    zone = timezone(timedelta(seconds=shift_s))
    width = interval(series.width_s)

    def rate(each: Bin) -> float:
        return each.size / series.width_s

    def versions(each: Bin) -> float:
        return each.versions

    return Html(
        _figure(f"Bytes per second, mean of each {width}", series, zone, rate, _shown_rate)
        + _figure(f"Files per {width}", series, zone, versions, _shown_number)
        + _figures_table(series, zone)
    )


def interval(width_s: int) -> str:
    """Return a width of intervals in words.

    >>> interval(1), interval(300), interval(10_800), interval(2_419_200)
    ('second', '5 minutes', '3 hours', '28 days')
    """
    for unit_s, unit in ((86_400, "day"), (3600, "hour"), (60, "minute"), (1, "second")):
        if width_s % unit_s == 0:
            number = width_s // unit_s
            return unit if number == 1 else counted(number, unit)
    raise ValueError(width_s)


def round_up(value: float) -> float:
    """Return the next number that is 1, 2 or 5 times a power of ten.

    >>> round_up(0.3), round_up(1), round_up(21), round_up(5_000_001)
    (1, 1, 50, 10000000)
    """
    power = 1
    while True:
        for factor in (1, 2, 5):
            if value <= factor * power:
                return factor * power
        power *= 10


def _figure(
    title: str, series: Series, zone: timezone, value: Callable[[Bin], float], show: Callable[[float], str]
) -> Html:
    top = round_up(max(map(value, series.bins), default=0))
    highest = max(series.bins, key=value)
    said = (
        f"{title}, from {_when(series.start_s, zone)} to {_when(series.end_s, zone)}; "
        f"at most {show(value(highest))}, at {_when(highest.start_s, zone)}"
    )
    return element(
        "figure",
        element("figcaption", text(title)),
        element(
            "div",
            element("svg", *_value_axis(top, show), class_="values", aria_hidden="true"),
            element(
                "svg", *_grid(), *_bars(series, zone, value, top, show), *_time_axis(series, zone), class_="plot",
                role="img", aria_label=said,
            ),
            class_="chart",
        ),
    )  # fmt: skip


def _value_axis(top: float, show: Callable[[float], str]) -> Iterator[Html]:
    for part in (0, 1, 2) if top > 1 else (0, 2):  # there are no halves of files
        label = text(show(top * part / 2))
        yield element("text", label, x="100%", y=_TOP + _HEIGHT * (2 - part) // 2 + 4, text_anchor="end")


def _grid() -> Iterator[Html]:
    for part in (0, 1, 2):
        y = _TOP + _HEIGHT * part // 2
        yield element("line", x1="0", x2="100%", y1=y, y2=y, class_="grid")


def _bars(
    series: Series, zone: timezone, value: Callable[[Bin], float], top: float, show: Callable[[float], str]
) -> Iterator[Html]:
    span_s = series.end_s - series.start_s
    width = 100 * series.width_s / span_s
    for each in series.bins:
        height = max(1.0, _HEIGHT * value(each) / top)  # what is little is not nothing
        x = 100 * (each.start_s - series.start_s) / span_s + width * _GAP / 2
        what = f"{_when(each.start_s, zone)}, {interval(series.width_s)}: {show(value(each))}"
        yield element(
            "rect",
            element("title", text(what)),
            x=f"{x:.3f}%",
            y=f"{_TOP + _HEIGHT - height:.1f}",
            width=f"{width * (1 - _GAP):.3f}%",
            height=f"{height:.1f}",
        )


def _time_axis(series: Series, zone: timezone) -> Iterator[Html]:
    span_s = series.end_s - series.start_s
    shift_s = int(zone.utcoffset(None).total_seconds())
    places = list(ticks(series, shift_s, _MAX_TICKS))
    pattern = _tick_pattern(places, series, zone)
    for number, time_s in enumerate(places):
        share = (time_s - series.start_s) / span_s
        anchor = "start" if share < 0.06 else "end" if share > 0.94 else "middle"
        label = datetime.fromtimestamp(time_s, zone).strftime(pattern)
        of_wide = {"class_": "wide"} if number % 2 else {}  # there is no room for it on a narrow screen
        bottom = _TOP + _HEIGHT
        x = f"{100 * share:.3f}%"
        yield element("line", x1=x, x2=x, y1=bottom, y2=bottom + 5, class_="grid")
        yield element("text", text(label), x=x, y=_TOP + _HEIGHT + 20, text_anchor=anchor, **of_wide)


def _tick_pattern(places: list[int], series: Series, zone: timezone) -> str:
    """Return how the times of an axis are written: no more than what differs."""
    step_s = places[1] - places[0] if len(places) > 1 else 60
    if step_s >= 86_400:
        return "%Y-%m-%d"
    first, last = (datetime.fromtimestamp(time_s, zone) for time_s in (series.start_s, series.end_s - 1))
    clock = "%H:%M" if step_s >= 60 else "%H:%M:%S"
    return clock if first.date() == last.date() else f"%m-%d {clock}"


def _figures_table(series: Series, zone: timezone) -> Html:
    """Return the numbers of the charts, for those who do not see them."""
    rows = [
        element(
            "tr",
            element("th", text(_when(each.start_s, zone)), scope="row"),
            element("td", text(f"{each.versions:,}"), class_="number"),
            element("td", text(shown_size(each.size)), class_="number"),
            element("td", text(_shown_rate(each.size / series.width_s)), class_="number"),
        )
        for each in series.bins
    ]
    head = [element("th", text(column), scope="col") for column in ("From", "Files", "Bytes", "Bytes per second")]
    return element(
        "details",
        element("summary", text("The same in numbers")),
        element(
            "table",
            element("caption", text(f"Completed in each {interval(series.width_s)}; nothing in the others")),
            element("thead", element("tr", *head)),
            element("tbody", *rows),
        ),
    )  # fmt: skip


def _when(time_s: int, zone: timezone) -> str:
    return datetime.fromtimestamp(time_s, zone).strftime("%Y-%m-%d %H:%M:%S")


def _shown_rate(value: float) -> str:
    return shown_size(round(value)).replace(".0 ", " ").replace("bytes", "B") + "/s"


def _shown_number(value: float) -> str:
    return f"{value:,.1f}".replace(".0", "")
