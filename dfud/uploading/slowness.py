"""When to say that the broker is slow, and why: a quota, a slow line, a broker that takes its time."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from dfud.messages import BrokerSlow, FromProducer

SLOW_LATENCY_S = 5.0  # of an acknowledgement
_QUICK_LATENCY_S = SLOW_LATENCY_S / 2
_THROTTLED_S, _THROTTLED_WITHIN_S = 3.0, 10.0  # throttled for so much of that time
_LASTS_S = 10.0  # after the last sign, if all is quick then

THROTTLED = "it throttles this client, as a quota such as producer_byte_rate demands"


class SlownessReporter:
    """Responsible for reporting once that the broker is slow, with the cause if it is known, and once its end."""

    def __init__(self, send: Callable[[Sequence[FromProducer]], None]) -> None:
        """`send` sends messages to the supervisor."""
        self._send = send
        self._cause = ""  # as reported; empty if the broker is not slow
        self._lasts_until = 0.0  # s, monotonic
        self._throttled_since = 0.0  # s, monotonic
        self._throttled_s = 0.0  # since then, in sum
        self.explains_until = 0.0  # s, monotonic; until then a throttled broker cannot be expected to answer

    def on_throttled(self, seconds: float, now: float) -> None:
        """Take the broker's word that it answers nothing for so many seconds."""
        if not seconds:
            return
        self.explains_until = max(self.explains_until, now + seconds + SLOW_LATENCY_S)
        if now - self._throttled_since > _THROTTLED_WITHIN_S:
            self._throttled_since, self._throttled_s = now, 0.0
        self._throttled_s += seconds
        if self._cause or self._throttled_s >= _THROTTLED_S:
            self._on_sign(THROTTLED, now + seconds)

    def on_acked(self, latency_s: float, now: float) -> None:
        """Take an acknowledgement that came after so many seconds."""
        if latency_s >= SLOW_LATENCY_S:
            self._on_sign(f"an acknowledgement took {latency_s:.0f} s", now)
        elif self._cause and latency_s < _QUICK_LATENCY_S and now >= self._lasts_until:
            self._cause = ""
            self._send([BrokerSlow("")])

    def on_silence(self, seconds: float, now: float) -> None:
        """Take it that the broker answers, but has acknowledged nothing for so many seconds."""
        self._on_sign(f"it answers, but has acknowledged nothing for {seconds:.0f} s", now)

    def _on_sign(self, cause: str, now: float) -> None:
        self._lasts_until = now + _LASTS_S
        if not self._cause:
            self._cause = cause
            self._send([BrokerSlow(cause)])
