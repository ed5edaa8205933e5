"""Which lines of dfud run for the first time: what tells bytes that are worth keeping from others."""

from __future__ import annotations

import sys
from types import CodeType
from typing import Any

_TOOL = 4  # one of the numbers that `sys.monitoring` leaves to others
_PART = "/dfud/"


class NewLines:
    """Responsible for noticing new lines, where Python can tell (3.12); each costs something only once."""

    def __init__(self) -> None:
        self._n_new = 0
        monitoring: Any = getattr(sys, "monitoring", None)
        if monitoring is None:
            return
        self._disable = monitoring.DISABLE
        monitoring.use_tool_id(_TOOL, "dfud fuzz")
        monitoring.register_callback(_TOOL, monitoring.events.LINE, self._on_line)
        monitoring.set_events(_TOOL, monitoring.events.LINE)

    def _on_line(self, code: CodeType, line: int) -> Any:
        self._n_new += _PART in code.co_filename
        return self._disable

    def take(self) -> int:
        """Return how many lines have run for the first time since this was asked last."""
        taken, self._n_new = self._n_new, 0
        return taken
