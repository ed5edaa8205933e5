"""Numbers of bytes as people read them."""

from __future__ import annotations

_UNITS = ("bytes", "kB", "MB", "GB", "TB", "PB")


def shown_size(size: int) -> str:
    """Return a number of bytes in the unit that reads best.

    >>> shown_size(999), shown_size(61_234_567), shown_size(999_999)
    ('999 bytes', '61.2 MB', '1.0 MB')
    """
    if size < 1000:
        return f"{size} {_UNITS[0]}"
    value, unit = float(size), 0
    while value >= 999.95 and unit < len(_UNITS) - 1:
        value, unit = value / 1000, unit + 1
    return f"{value:,.1f} {_UNITS[unit]}"
