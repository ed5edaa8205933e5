"""How an instance is, as systemd knows it."""

from __future__ import annotations

from typing import NamedTuple

from dfud.core.text import counted
from dfud.service.place import Place, call

_PROPERTIES = ("ActiveState", "SubState", "UnitFileState", "Result", "NRestarts", "StatusText")


class ServiceState(NamedTuple):
    """What ``systemctl show`` says of a unit."""

    active: str  # such as "active", "activating" or "failed"
    sub: str  # such as "running", or "auto-restart" between two starts
    enabled: str
    result: str  # of the last run that has ended
    restarts: int
    text: str  # that dfud has sent

    @property
    def is_active(self) -> bool:
        """Whether it runs, and is ready."""
        return self.active == "active"

    @property
    def is_failed(self) -> bool:
        """Whether it has ended with an error, be it for good or until it is started again."""
        return self.active in ("failed", "activating") and self.result not in ("", "success")

    def __str__(self) -> str:
        """Return all of it in one line."""
        words = f"{self.active} ({self.sub}), {self.enabled or 'not enabled'}"
        if self.result not in ("", "success"):
            words += f", last result {self.result}"
        if self.restarts:
            words += f", started anew {counted(self.restarts, 'time')}"
        return f"{words}: {self.text}" if self.text else words


def show_command(place: Place, unit: str) -> list[str]:
    """Return the command that asks systemd for the state of a unit."""
    return place.systemctl("show", f"--property={','.join(_PROPERTIES)}", unit)


def service_state(place: Place, unit: str) -> ServiceState:
    """Return the state of a unit; DfudError if systemd does not answer."""
    answer = dict(line.partition("=")[::2] for line in call(show_command(place, unit)).splitlines())
    active, sub, enabled, result, restarts, text = (answer.get(name, "") for name in _PROPERTIES)
    return ServiceState(active, sub, enabled, result, int(restarts or 0), text)
