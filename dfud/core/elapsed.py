"""Times of day as texts, and the time that has passed since, as people read it."""

from __future__ import annotations

from datetime import datetime, timezone


def parse_time(text: str) -> datetime | None:
    """Return an ISO 8601 time, in UTC unless it has an offset; None for anything else."""
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return None
    return time if time.tzinfo else time.replace(tzinfo=timezone.utc)


def seconds_since(text: str, now: datetime) -> float:
    """Return how long ago an ISO 8601 time was; infinitely, if it is none."""
    time = parse_time(text)
    return float("inf") if time is None else (now - time).total_seconds()


def duration(seconds: float) -> str:
    """Return a time in the unit that reads best.

    >>> duration(-1), duration(89.6), duration(5_400), duration(200_000), duration(float("inf"))
    ('0 s', '90 s', '90 min', '2 d', 'an unknown time')
    """
    if seconds == float("inf"):
        return "an unknown time"
    for unit, name, limit in ((1, "s", 120), (60, "min", 7_200), (3_600, "h", 172_800)):
        if seconds < limit:
            return f"{max(0.0, seconds) / unit:.0f} {name}"
    return f"{seconds / 86_400:.0f} d"
