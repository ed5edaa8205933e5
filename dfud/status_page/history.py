"""What a page says of the completed versions: gathered row by row, in bounded memory."""

from __future__ import annotations

from datetime import datetime

from dfud.core.elapsed import parse_time
from dfud.core.tables import CompletedRow
from dfud.status_page.folders import FolderTotals
from dfud.status_page.histogram import Histogram
from dfud.status_page.markup import shortened

MAX_NEWEST = 1_000
DAY_S = 86_400
_EARLIEST_S = 946_684_800  # 2000: no upload was earlier, whatever a table says


class History:
    """Gathers what was completed when and where, and the newest versions."""

    def __init__(self, now: datetime) -> None:
        """Begin with nothing; `now` has a time zone, that of the page."""
        offset = now.utcoffset()
        self.shift_s = 0 if offset is None else int(offset.total_seconds())  # of the clocks here from UTC
        self.now_s = int(now.timestamp())
        self.whole = Histogram(self.shift_s)
        self.last_day = Histogram(self.shift_s)
        self.folders = FolderTotals()
        self.chunks = 0
        self.timeless = 0  # versions whose time is none, or cannot be right
        self._newest: list[tuple[int, str, CompletedRow]] = []
        self._oldest_kept_s = 0
        self._minute = ""  # of the last time, with its offset from UTC
        self._minute_s = 0  # since 1970; 0 if it is none

    def add(self, row: CompletedRow) -> None:
        """Count a completed version."""
        time_s = self._parsed(row.completed)
        self.chunks += row.n_chunks
        self.folders.add(row.rel_filepath, row.size, time_s)
        if time_s:
            self.whole.add(time_s, row.size)
            if time_s > self.now_s - DAY_S:
                self.last_day.add(time_s, row.size)
        else:
            self.timeless += 1
        if time_s >= self._oldest_kept_s:
            self._keep(time_s, row)

    def newest(self) -> list[CompletedRow]:
        """Return the versions that were completed last, the newest first."""
        self._newest.sort(key=lambda kept: kept[:2], reverse=True)
        del self._newest[MAX_NEWEST:]
        return [row for _, _, row in self._newest]

    def _keep(self, time_s: int, row: CompletedRow) -> None:
        if len(row.rel_filepath) + len(row.started) + len(row.completed) > MAX_NEWEST:
            row = row._replace(
                rel_filepath=shortened(row.rel_filepath), started="", completed=shortened(row.completed)
            )
        self._newest.append((time_s, row.completed, row))
        if len(self._newest) >= 4 * MAX_NEWEST:
            self.newest()
            self._oldest_kept_s = self._newest[-1][0]

    def _parsed(self, text: str) -> int:
        """Return a time in seconds since 1970; 0 if it is none, or cannot be right."""
        minute = text[:17] + text[-6:]  # most rows are of the same minute as the row before
        if minute != self._minute:
            self._minute = minute
            parsed = parse_time(f"{text[:17]}00{text[-6:]}")
            self._minute_s = 0 if parsed is None else int(parsed.timestamp())
        seconds = text[17:19]
        if self._minute_s and seconds.isdecimal():
            time_s = self._minute_s + int(seconds)
        else:
            parsed = parse_time(text)
            time_s = 0 if parsed is None else int(parsed.timestamp())
        return time_s if _EARLIEST_S <= time_s <= self.now_s + DAY_S else 0
