"""When a terminal is written to: a few times a second, whatever happens, and never while it takes nothing."""

from __future__ import annotations

from typing import NamedTuple

from dfud.core.text import LAYOUT, counted, escaped
from dfud.display.activity import Describe
from dfud.display.lines import Piece, ansi, paint, shown
from dfud.display.region import Region
from dfud.display.terminal import Look, Size

_LINE_INTERVAL_S = 0.1  # between frames that show new lines
_REFRESH_INTERVAL_S = 0.25  # between frames that show how things are going
_ABSENCE_INTERVAL_S = 0.75  # more than between frames, while another job has the terminal
_MAX_WAITING_LINES = 1000
_LEVELS = (("WARNING", "doubtful"), ("ERROR", "bad"), ("CRITICAL", "bad"))


class Frame(NamedTuple):
    """What to write to the terminal in one piece."""

    codes: str
    n_lines: int  # that are in it, besides the region


class LiveDisplay:
    """Responsible for lines that scroll, and the region below them."""

    def __init__(self, look: Look, describe: Describe, now: float) -> None:
        """Show what `describe` says at a time (s, monotonic); the first frame is due `now`."""
        self._look = look
        self._describe = describe
        self._region = Region(look)
        self._waiting: list[str] = []  # lines
        self._dropped = 0  # lines since the last frame
        self._drawn_at = now - _REFRESH_INTERVAL_S
        self._is_idle = False  # nothing has happened since the last frame, and nothing changes by itself

    def add_line(self, text: str) -> None:
        """Show a line with the next frame; if too many wait already, only count it."""
        if len(self._waiting) >= _MAX_WAITING_LINES:
            self._dropped += 1
            return
        style = next((style for level, style in _LEVELS if text.startswith(level)), "")
        self._waiting += (
            ansi([Piece(shown(line.expandtabs(), self._look), style)], self._look)
            for line in escaped(text, LAYOUT).split("\n")
        )

    def on_enter(self, n_lines: int) -> None:
        """Take note that the user has sent off lines, which the terminal shows."""
        self._region.on_enter(n_lines)

    def forget(self) -> None:
        """Take note that the terminal shows something else by now, as after a stop of this process."""
        self._region.forget()

    def wake(self) -> None:
        """Take note that something has happened."""
        self._is_idle = False

    def rest(self, now: float) -> None:
        """Take note that nothing can be shown at `now` (s, monotonic), and no event will say when it can."""
        self._drawn_at = now + _ABSENCE_INTERVAL_S
        self._is_idle = False

    @property
    def due(self) -> float | None:
        """When the next frame is due (s, monotonic); None if there is nothing new to show."""
        if self._waiting:
            return self._drawn_at + _LINE_INTERVAL_S
        return None if self._is_idle else self._drawn_at + _REFRESH_INTERVAL_S

    def frame(self, now: float, size: Size) -> Frame:
        """Return what is to be written now."""
        activity = self._describe(now)
        self._drawn_at = now
        self._is_idle = activity.is_idle
        above = self._take_waiting()
        return Frame(self._region.draw(above, paint(activity, size.columns, self._look), size), len(above))

    def end(self, size: Size) -> Frame:
        """Return what removes the region, and shows the lines that still wait."""
        above = self._take_waiting()
        return Frame(self._region.end(above, size), len(above))

    def _take_waiting(self) -> list[str]:
        lines, self._waiting = self._waiting, []
        if self._dropped:
            lines.append(f"({counted(self._dropped, 'line')} dropped: the output was blocked or too slow)")
            self._dropped = 0
        return lines
