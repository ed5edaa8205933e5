"""When to report a broker that cannot be reached or is slow, and when that this is over."""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Callable, Sequence

from confluent_kafka import KafkaError

from dfud.messages import BrokerOutage, FromProducer, Notice
from dfud.uploading.delivery import plain
from dfud.uploading.slowness import SlownessReporter

_ACK_TIMEOUT_S, _MAX_ACK_TIMEOUT_S = 5.0, 60.0  # s without an acknowledgement; more if the network proves slow
_LATENCIES = 3.0  # the time of so many acknowledgements is no outage
_DISCONNECTED_S = 1.0  # s without a connection; most are back at once
_REFUSALS = (KafkaError._AUTHENTICATION, KafkaError._SSL)
# librdkafka's errors of a connection that could not be made.
_CONNECT_FAILED = re.compile(r"Connect to (?:ipv\d#)?(?P<address>\S+) failed: (?P<reason>.*)")

# Asks the broker why nothing has been acknowledged for so many seconds, given whether connections were lost since.
FindTrouble = Callable[[float, bool], str]


class OutageDetector:
    """Decides whether the user has to know that nothing is acknowledged.

    It goes by the clock, not by errors: a stalled network and a topic with too few replicas in sync cause none.
    """

    def __init__(self) -> None:
        self._waiting_since: float | None = None
        self._ack_timeout_s = _ACK_TIMEOUT_S
        self._latency_s = 0.0  # of the last acknowledgement
        self._unacked_since = 0.0
        self._ask_at = -math.inf  # s, monotonic; the broker has answered, and is not asked again before
        self._disconnected_at = 0.0
        self._disturbed_at = 0.0
        self.disconnection = ""  # why no broker is connected; "" if one may be
        self._connect_failure = ""  # the last one since an acknowledgement
        self._has_cause = False  # a broker refuses us
        self.has_new_cause = False  # `disconnection` is a cause that was not reported yet

    def on_disconnected(self, reason: str, now: float, is_cause: bool = False) -> None:
        """Record that no broker is connected; a cause, once known, is not replaced by a mere symptom."""
        if (is_cause and reason != self.disconnection) or not self.disconnection:
            self.disconnection = reason if is_cause else self._connect_failure or reason
            self.has_new_cause = is_cause
        self._has_cause = self._has_cause or is_cause
        self._disconnected_at = self._disturbed_at = now

    def on_connect_failed(self, reason: str) -> None:
        """Record that a connection could not be made, for a reason that names the address."""
        self._connect_failure = reason
        if self.disconnection and not self._has_cause:
            self.disconnection = reason

    @property
    def is_certain(self) -> bool:
        """Whether nobody needs to be asked: it is known why no broker is connected."""
        return bool(self.disconnection and (self._has_cause or self._connect_failure))

    def on_disturbed(self, now: float) -> None:
        """Record that the connection to one broker, maybe of several, is lost."""
        self._disturbed_at = now

    def was_disturbed(self) -> bool:
        """Return whether a connection has been lost since nothing is acknowledged."""
        return self._disturbed_at >= self._unacked_since - _DISCONNECTED_S

    def on_acked(self, latency_s: float) -> None:
        """Record how long an acknowledgement took, and that there is no outage."""
        self._latency_s = latency_s
        self._ask_at = -math.inf
        self._connect_failure = ""

    def on_resumed(self, now: float) -> None:
        """Record the first acknowledgement after a reported outage.

        A short outage with all connections intact was a slow network: be slower to report the next one.
        """
        is_short = now - self._unacked_since < 2 * self._ack_timeout_s
        if is_short and not self.disconnection and not self.was_disturbed():
            self._ack_timeout_s = min(2 * self._ack_timeout_s, _MAX_ACK_TIMEOUT_S)

    def on_answer(self, now: float) -> None:
        """Record that the broker answers, whatever its connections have gone through: ask again much later."""
        self.disconnection = self._connect_failure = ""
        self._has_cause = self.has_new_cause = False
        self._ask_at = now + min(self.unacked_s(now), _MAX_ACK_TIMEOUT_S)

    def unacked_s(self, now: float) -> float:
        """Return for how long something has waited without any acknowledgement."""
        return now - self._unacked_since

    def check(self, now: float, last_ack: float, is_waiting: bool) -> str:
        """Return the reason of an outage, or "" if there is none; `is_waiting` for acknowledgements."""
        if last_ack > self._disconnected_at:
            self.disconnection = ""
            self._has_cause = self.has_new_cause = False
        if not is_waiting:
            self._waiting_since = None
            return ""
        if self._waiting_since is None:
            self._waiting_since = now
        self._unacked_since = max(last_ack, self._waiting_since)
        unacked = self.unacked_s(now)
        if now < self._ask_at and not self.is_certain:
            return ""
        if self.disconnection and unacked >= _DISCONNECTED_S:
            return self.disconnection
        expected = min(max(self._ack_timeout_s, _LATENCIES * self._latency_s), _MAX_ACK_TIMEOUT_S)
        return f"nothing has been acknowledged for {unacked:.0f} s" if unacked >= expected else ""


class OutageReporter:
    """Responsible for reporting each outage once, each new cause of it once, and its end once.

    A broker that answers is not unreachable, however little it acknowledges: it is slow.
    """

    def __init__(self, send: Callable[[Sequence[FromProducer]], None], find_trouble: FindTrouble) -> None:
        """`send` sends messages to the supervisor."""
        self._send = send
        self._find_trouble = find_trouble
        self._detector = OutageDetector()
        self._slowness = SlownessReporter(send)
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
            failed = _CONNECT_FAILED.search(plain(error))
            if failed:
                self._detector.on_connect_failed(f"cannot connect to {failed['address']}: {failed['reason']}")
            elif error.code() == KafkaError._RESOLVE:
                self._detector.on_connect_failed(plain(error))
            self._send([Notice(logging.DEBUG, f"librdkafka: {error.str()}")])

    def on_throttled(self, seconds: float, now: float) -> None:
        """Take the broker's word that it lets this client wait."""
        self._slowness.on_throttled(seconds, now)

    def on_acked(self, latency_s: float, now: float) -> None:
        """Take an acknowledgement, which ends an outage."""
        self._detector.on_acked(latency_s)
        if self.is_reported:
            self.is_reported = False
            self._detector.on_resumed(now)
            self._send([BrokerOutage("")])
        self._slowness.on_acked(latency_s, now)

    def check(self, now: float, last_ack: float, is_waiting: bool) -> None:
        """Report an outage if one has begun or has a new cause; this may wait for the broker's answer."""
        detector = self._detector
        reason = detector.check(now, last_ack, is_waiting)
        if not reason or (self.is_reported and not detector.has_new_cause):
            return
        if not detector.is_certain:
            if now < self._slowness.explains_until:
                return
            trouble = self._find_trouble(detector.unacked_s(now), detector.was_disturbed())
            if not trouble:
                if not detector.disconnection:
                    self._slowness.on_silence(detector.unacked_s(now), now)
                detector.on_answer(now)
                return
            reason = reason if detector.disconnection else f"{reason}: {trouble}"
        self.is_reported = True
        self._send([BrokerOutage(reason, detector.has_new_cause)])
        detector.has_new_cause = False
