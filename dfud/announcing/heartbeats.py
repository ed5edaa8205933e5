"""The heartbeats of an upload: signs of life, with what was sent since the last one."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone

from dfud.announcing.heartbeat_format import Counts, encode
from dfud.logs.upload_status import UploadStatus


class Heartbeats:
    """Makes the heartbeats of a run, so that their counts add up to what the broker has acknowledged."""

    noun = "heartbeats"
    has_more = False  # one says all

    def __init__(
        self, interval_s: float, now: Callable[[], datetime] = lambda: datetime.now(timezone.utc)
    ) -> None:
        """Say in each that the next one is to follow after `interval_s`."""
        self._interval_s = interval_s
        self._now = now
        self._chunks = self._bytes = 0  # that heartbeats have counted
        self._open: dict[int, tuple[int, int]] = {}  # chunks and bytes of those that are under way, by number

    def take(self, number: int, describe: Callable[[], UploadStatus]) -> bytes:
        """Return the value of the message with this number."""
        status = describe()
        acknowledged = status.acknowledged
        chunks, size = acknowledged.chunks - self._chunks, acknowledged.bytes - self._bytes
        self._open[number] = chunks, size
        self._chunks += chunks
        self._bytes += size
        return encode(Counts(self._now().isoformat(), chunks, size), status, self._interval_s)

    def on_sent(self, number: int) -> None:
        """Note that this one is on the topic."""
        del self._open[number]

    def on_failed(self, number: int, is_too_large: bool) -> None:
        """Let the next one count what this one did."""
        chunks, size = self._open.pop(number)
        self._chunks -= chunks
        self._bytes -= size
