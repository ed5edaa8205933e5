"""When a broker that acknowledges nothing is to be called away."""

from __future__ import annotations

_SILENT_FOR_S, _MAX_SILENT_S = 5.0, 60.0  # s; the more where the network turns out to be slow
_DOWN_FOR_S = 1.0  # s; where librdkafka says that there is no connection: most are there again at once


class OutageDetector:
    """Responsible for one thing: whether the user is to be told that what is sent is not acknowledged.

    It depends on the clock, not on errors: a network that stalls and a topic with too few copies bring none.
    """

    def __init__(self) -> None:
        self._waiting_since: float | None = None
        self._silent_for = _SILENT_FOR_S
        self._began = 0.0
        self._down_at = 0.0
        self._disturbed_at = 0.0
        self.down = ""  # why there is no connection to any broker
        self.has_new_cause = False  # `down` is a cause, and nobody was told

    def is_down(self, why: str, now: float, is_cause: bool = False) -> None:
        """There is no connection to any broker, as far as librdkafka knows; a cause that it has named is kept."""
        if (is_cause and why != self.down) or not self.down:
            self.down = why
            self.has_new_cause = is_cause
        self._down_at = now

    def is_disturbed(self, now: float) -> None:
        """The connection to a broker is lost, of which there may be others."""
        self._disturbed_at = now

    def is_over(self, now: float) -> None:
        """Something is acknowledged, after it was told.

        A short silence with all connections in order was a slow network: be slower to tell.
        """
        is_short = now - self._began < 2 * self._silent_for
        if is_short and not self.down and self._disturbed_at < self._began - _DOWN_FOR_S:
            self._silent_for = min(2 * self._silent_for, _MAX_SILENT_S)

    def why(self, now: float, last_ack: float, is_waiting: bool) -> str:
        """Return why the broker is to be called away, or "" while it is not; `is_waiting` for acknowledgements."""
        if last_ack > self._down_at:
            self.down = ""
            self.has_new_cause = False
        if not is_waiting:
            self._waiting_since = None
            return ""
        if self._waiting_since is None:
            self._waiting_since = now
        self._began = max(last_ack, self._waiting_since)
        silent = now - self._began
        if self.down and silent >= _DOWN_FOR_S:
            return self.down
        return f"nothing has been acknowledged for {silent:.0f} s" if silent >= self._silent_for else ""
