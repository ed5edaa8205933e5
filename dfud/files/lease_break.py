"""How long the kernel lets another program keep a lease on a file that is opened: fcntl(2)."""

from __future__ import annotations

_SETTING = "/proc/sys/fs/lease-break-time"
_DEFAULT_S, _MARGIN_S = 45.0, 2.0


def lease_break_s() -> float:
    """Return the time (s) after which a lease has ended, with a little on top."""
    try:
        with open(_SETTING, encoding="ascii") as file:
            return float(file.read()) + _MARGIN_S
    except (OSError, ValueError):
        return _DEFAULT_S + _MARGIN_S
