"""Rates and times as people read them."""

from __future__ import annotations

from dfud.core.sizes import shown_size


def shown_rate(rate: float) -> str:
    """Return a rate in bytes per second as text.

    >>> shown_rate(12_340_000), shown_rate(999), shown_rate(0)
    ('12.3 MB/s', '999 B/s', '0 B/s')
    """
    return f"{rate:.0f} B/s" if rate < 999.5 else f"{shown_size(round(rate))}/s"


def shown_time(seconds: float) -> str:
    """Return how long something takes, in two units at most.

    >>> shown_time(7.2), shown_time(75), shown_time(7_260), shown_time(200_000)
    ('7 s', '1 min 15 s', '2 h 1 min', '2 d 7 h')
    """
    whole = round(seconds)
    for unit, name, smaller, smaller_name in (
        (86_400, "d", 3600, "h"),
        (3600, "h", 60, "min"),
        (60, "min", 1, "s"),
    ):
        if whole >= unit:
            rest = whole % unit // smaller
            return f"{whole // unit:,} {name}" + (f" {rest} {smaller_name}" if rest else "")
    return f"{whole} s"


def time_left(remaining: float, rate: float) -> str:
    """Return how long the `remaining` amount takes at `rate` per second; "" if that says nothing.

    >>> time_left(600, 10), time_left(600, 0), time_left(0, 10)
    ('1 min left', '', '')
    """
    if remaining <= 0 or rate <= 0 or remaining / rate > _MAX_TIME_LEFT_S:
        return ""
    return f"{shown_time(remaining / rate)} left"


_MAX_TIME_LEFT_S = 100 * 86_400  # more is no forecast
