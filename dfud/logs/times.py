"""Times as the tables have them."""

from __future__ import annotations

from datetime import datetime


def iso_now() -> str:
    """Return the present local time in ISO 8601 with the UTC offset, to the millisecond."""
    return datetime.now().astimezone().isoformat(timespec="milliseconds")
