"""When to report a broker that acknowledges nothing, and when that it is back."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from confluent_kafka import KafkaError

from dfud.messages import BrokerOutage, FromProducer, Notice
from dfud.uploading.delivery import plain

_ACK_TIMEOUT_S, _MAX_ACK_TIMEOUT_S = 5.0, 60.0  # s without an acknowledgement; more if the network proves slow
_DISCONNECTED_S = 1.0  # s without a connection; most are back at once
_REFUSALS = (KafkaError._AUTHENTICATION, KafkaError._SSL)


class OutageDetector:
    """Decides whether the user has to know that nothing is acknowledged.

    It goes by the clock, not by errors: a stalled network and a topic with too few replicas in sync cause none.
    """

    def __init__(self) -> None:
        self._waiting_since: float | None = None
        self._ack_timeout_s = _ACK_TIMEOUT_S
        self._unacked_since = 0.0
        self._disconnected_at = 0.0
        self._disturbed_at = 0.0
        self.disconnection = ""  # why no broker is connected; "" if one may be
        self.has_new_cause = False  # `disconnection` is a cause that was not reported yet

    def on_disconnected(self, reason: str, now: float, is_cause: bool = False) -> None:
        """Record that no broker is connected; a cause, once known, is not replaced by a mere symptom."""
        if (is_cause and reason != self.disconnection) or not self.disconnection:
            self.disconnection = reason
            self.has_new_cause = is_cause
        self._disconnected_at = now

    def on_disturbed(self, now: float) -> None:
        """Record that the connection to one broker, maybe of several, is lost."""
        self._disturbed_at = now

    def on_resumed(self, now: float) -> None:
        """Record the first acknowledgement after a reported outage.

        A short outage with all connections intact was a slow network: be slower to report the next one.
        """
        is_short = now - self._unacked_since < 2 * self._ack_timeout_s
        was_disturbed = self._disturbed_at >= self._unacked_since - _DISCONNECTED_S
        if is_short and not self.disconnection and not was_disturbed:
            self._ack_timeout_s = min(2 * self._ack_timeout_s, _MAX_ACK_TIMEOUT_S)

    def check(self, now: float, last_ack: float, is_waiting: bool) -> str:
        """Return the reason of an outage, or "" if there is none; `is_waiting` for acknowledgements."""
        if last_ack > self._disconnected_at:
            self.disconnection = ""
            self.has_new_cause = False
        if not is_waiting:
            self._waiting_since = None
            return ""
        if self._waiting_since is None:
            self._waiting_since = now
        self._unacked_since = max(last_ack, self._waiting_since)
        unacked = now - self._unacked_since
        if self.disconnection and unacked >= _DISCONNECTED_S:
            return self.disconnection
        return f"nothing has been acknowledged for {unacked:.0f} s" if unacked >= self._ack_timeout_s else ""


class OutageReporter:
    """Responsible for reporting each outage once, each new cause of it once, and its end once."""

    def __init__(self, send: Callable[[Sequence[FromProducer]], None], find_trouble: Callable[[], str]) -> None:
        """`send` sends messages to the supervisor; `find_trouble` asks the broker what is wrong with the topic."""
        self._send = send
        self._find_trouble = find_trouble
        self._detector = OutageDetector()
        self.is_reported = False

    def on_error(self, error: KafkaError, now: float) -> None:
        """Take an error that is not about one message; log it unless an outage is reported with it."""
        if error.code() == KafkaError._ALL_BROKERS_DOWN:
            self._detector.on_disconnected(error.str(), now)
        elif error.code() in _REFUSALS:
            self._detector.on_disconnected(f"it refuses the connection: {plain(error)}", now, is_cause=True)
        else:
            if error.code() == KafkaError._TRANSPORT:
                self._detector.on_disturbed(now)
            self._send([Notice(logging.DEBUG, f"librdkafka: {error.str()}")])

    def on_resumed(self, now: float) -> None:
        """Report the end of an outage: something is acknowledged."""
        self.is_reported = False
        self._detector.on_resumed(now)
        self._send([BrokerOutage("")])

    def check(self, now: float, last_ack: float, is_waiting: bool) -> None:
        """Report an outage if one has begun or has a new cause; this may wait for the broker's answer."""
        detector = self._detector
        reason = detector.check(now, last_ack, is_waiting)
        if not reason or (self.is_reported and not detector.has_new_cause):
            return
        if not detector.disconnection:
            trouble = self._find_trouble()
            reason = f"{reason}: {trouble}" if trouble else reason
        self.is_reported = True
        self._send([BrokerOutage(reason, detector.has_new_cause)])
        detector.has_new_cause = False
