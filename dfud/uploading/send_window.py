"""How much librdkafka is given before it is acknowledged: what the broker can acknowledge in good time.

librdkafka takes whatever fits into its queue, and sends batches of a megabyte, several at a time. On a slow line,
or under a quota, most of that would reach the end of its time (``message.timeout.ms`` in the queue,
``socket.timeout.ms`` on the way), and be sent once more. So the window begins small and is doubled as long as
acknowledgements are quick, as TCP does; it is reduced when they take long.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dfud.kafka.properties import message_timeout

FIRST_WINDOW_BYTES = 64 << 10
_MIN_WINDOW_BYTES = 4 << 10  # one message is always let through
_MAX_WINDOW_BYTES = 1 << 40  # librdkafka's own queue is full long before
_SHARE = 0.25  # of the timeout that an acknowledgement may take
_MIN_LATENCY_S = 0.5  # that it may take anyway: lingering and polling alone take a tenth of a second
_SOCKET_TIMEOUT_MS = 60_000  # librdkafka's default of ``socket.timeout.ms``
MAX_SOCKET_TIMEOUT_S = 300.0  # that librdkafka allows


class SendWindow:
    """Counts the bytes that are not acknowledged, and decides how many there may be."""

    def __init__(self, timeout_s: float) -> None:
        """`timeout_s` is after what time without an acknowledgement a message is sent again."""
        self._max_latency_s = max(timeout_s * _SHARE, _MIN_LATENCY_S)
        self.limit = FIRST_WINDOW_BYTES
        self.unacked = 0  # bytes
        self._was_full = False  # since `limit` was changed
        self._full_since: float | None = None  # s, monotonic
        self._changed_at = float("-inf")  # s, monotonic
        self._reduced_at = float("-inf")  # s, monotonic
        self._last_ack = float("-inf")  # s, monotonic
        self._is_quick = False  # the last acknowledgement was: silence is not that of a slow line

    def admit(self, length: int) -> bool:
        """Count a message of `length` bytes, and return True; False if it has to wait."""
        unacked = self.unacked
        if unacked and unacked + length > self.limit:
            self.on_full()
            return False
        self.unacked = unacked + length
        return True

    def on_full(self) -> None:
        """Note that more would have been sent if the window were wider."""
        self._was_full = True

    def remove(self, length: int) -> None:
        """Take a message off the count that is acknowledged, has failed, or was not accepted after all."""
        self.unacked -= length

    def on_acked(self, latency_s: float, now: float) -> None:
        """Adjust the window to how long an acknowledgement took."""
        self._last_ack = now
        self._is_quick = latency_s < self._max_latency_s / 4
        if latency_s > self._max_latency_s:
            self._reduce(self._max_latency_s / (2 * latency_s), now - latency_s, now)
        elif self._was_full and latency_s < self._max_latency_s / 2 and now - latency_s >= self._changed_at:
            # If it takes an eighth of that time now, it will take half with four times as much under way.
            self._change((4 if latency_s < self._max_latency_s / 8 else 2) * self.limit, now)

    def on_timed_out(self, latency_s: float, now: float) -> None:
        """Reduce the window: a message was not acknowledged in time."""
        self._is_quick = False
        self._reduce(0.5, now - latency_s, now)

    def check(self, now: float) -> None:
        """Widen a window that is full of messages for partitions that acknowledge nothing: others may do."""
        if not self._was_full:
            return
        if self._full_since is None:
            self._full_since = now
        silent_s = now - max(self._last_ack, self._changed_at, self._full_since)
        if silent_s > self._max_latency_s * (1 if self._is_quick else 3):
            self._change(2 * self.limit, now)

    def _reduce(self, factor: float, sent_at: float, now: float) -> None:
        """Reduce the window once for all that was sent before that was done."""
        if sent_at >= self._reduced_at:
            self._reduced_at = now
            self._change(int(self.limit * factor), now)

    def _change(self, limit: int, now: float) -> None:
        self.limit = min(max(limit, _MIN_WINDOW_BYTES), _MAX_WINDOW_BYTES)
        self._changed_at = now
        self._was_full = False
        self._full_since = None


def resend_timeout(properties: Mapping[str, Any]) -> float:
    """Return after how many seconds without an acknowledgement librdkafka may send a message again."""
    return min(message_timeout(properties), socket_timeout(properties))


def socket_timeout(properties: Mapping[str, Any]) -> float:
    """Return how many seconds librdkafka waits for an answer before it closes the connection."""
    return float(properties.get("socket.timeout.ms", _SOCKET_TIMEOUT_MS)) / 1000
