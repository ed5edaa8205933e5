"""The lines of the log that are to be announced: kept until they are on their topic, but only so many."""

from __future__ import annotations

import json
import logging
import time
from collections import deque
from collections.abc import Callable

from dfud.core.text import LAYOUT, counted, escaped
from dfud.logs.log_lines import ConsoleFormatter
from dfud.logs.upload_status import UploadStatus

UNANNOUNCED = {
    "is_unannounced": True
}  # the `extra` of lines about the topic for them, which would feed themselves
_MAX_BYTES = 8 << 20  # of lines that are kept
_MESSAGE_BYTES = 500_000  # of lines in one message; topics take 1 MB unless they are told otherwise


class LogLines(logging.Handler):
    """Keeps lines until they are on the topic; if there are too many, the oldest are dropped and counted."""

    noun = "log messages"

    def __init__(self, max_lines: int, now: Callable[[], float] = time.time) -> None:
        """Keep at most so many lines."""
        super().__init__()
        self.setFormatter(ConsoleFormatter())
        self._max_lines = max_lines
        self._now = now
        self._lines: deque[str] = deque()  # in JSON, which is ASCII
        self._bytes = 0  # of them
        self._dropped = 0  # lines, since that was announced
        self._message_bytes = _MESSAGE_BYTES
        self._open: dict[
            int, tuple[list[str], int]
        ] = {}  # what is under way, by number: lines, and what is dropped

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the line of a record."""
        if not getattr(record, "is_unannounced", False):
            self._lines.append(json.dumps(escaped(self.format(record), LAYOUT)))
            self._bytes += len(self._lines[-1])
            self._drop_excess()

    @property
    def has_more(self) -> bool:
        """Whether there are lines that no message has yet."""
        return bool(self._lines)

    def take(self, number: int, describe: Callable[[], UploadStatus]) -> bytes:
        """Return the value of the message with this number: as many lines as it has room for."""
        lines: list[str] = []
        dropped, self._dropped = self._dropped, 0
        size = 0
        while self._lines and (not lines or size + len(self._lines[0]) <= self._message_bytes):
            lines.append(self._lines.popleft())
            size += len(lines[-1])
        self._bytes -= size
        self._open[number] = lines, dropped
        if dropped:
            text = (
                f"WARNING: {counted(dropped, 'line')} before this one could not be sent in time, and {{}} dropped"
            )
            lines = [json.dumps(text.format("was" if dropped == 1 else "were")), *lines]
        return f'{{"timestamp": {self._now()!r}, "messages": [{", ".join(lines)}]}}'.encode()

    def on_sent(self, number: int) -> None:
        """Forget the lines of this message."""
        del self._open[number]

    def on_failed(self, number: int, is_too_large: bool) -> None:
        """Keep the lines of this message for the next one, which is smaller if this one was too large."""
        lines, dropped = self._open.pop(number)
        self._dropped += dropped
        if is_too_large:
            self._message_bytes = max(1, sum(map(len, lines)) // 2)
            if len(lines) == 1:
                self._dropped += 1
                return
        self._lines.extendleft(reversed(lines))
        self._bytes += sum(map(len, lines))
        self._drop_excess()

    def _drop_excess(self) -> None:
        while len(self._lines) > self._max_lines or self._bytes > _MAX_BYTES:
            self._bytes -= len(self._lines.popleft())
            self._dropped += 1
