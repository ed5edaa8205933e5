"""One line when the broker becomes slow, and one when it is no longer slow, for all lanes together."""

from __future__ import annotations

import logging

from dfud.uploading.reporter import UploadReporter, per_second

_DELAY_S = 1.5  # until the supervisor knows what was acknowledged before a lane found the broker slow


class SlowLanes:
    """Responsible for how slow the broker is, and which lanes find it so."""

    def __init__(self, reporter: UploadReporter, log: logging.Logger) -> None:
        """Log to `log`, with the rate that `reporter` knows."""
        self._reporter = reporter
        self._log = log
        self._n_slow = 0  # lanes
        self._reason = ""  # that was given last
        self.due_at: float | None = None  # s, monotonic; when `tick` has something to log
        self._is_logged = False  # that the broker is slow

    @property
    def reason(self) -> str:
        """Why the broker is slow; empty if no lane finds it so."""
        return self._reason if self._n_slow else ""

    def on_message(self, reason: str, now: float) -> None:
        """Take a lane's reason why the broker is slow; none if the lane finds it quick again."""
        self._n_slow = max(0, self._n_slow + (1 if reason else -1))
        if reason and not (self._is_logged or self.due_at):
            self._reason, self.due_at = reason, now + _DELAY_S
        if not self._n_slow:
            self.due_at = None
            if self._is_logged:
                self._is_logged = False
                self._log.warning(f"broker no longer slow: {per_second(self._reporter.rate(now))}")

    def on_restart(self) -> None:
        """Forget what the lanes have said: the new producer finds out for itself."""
        self._n_slow = 0

    def tick(self, now: float) -> None:
        """Log what is due."""
        if self.due_at is None or now < self.due_at:
            return
        self.due_at, self._is_logged = None, True
        rate = self._reporter.slow_rate(now)
        pace = f"at {per_second(rate)}" if rate else "(nothing has been acknowledged yet)"
        self._log.warning(f"broker slow {pace}: {self._reason}; nothing is lost")
