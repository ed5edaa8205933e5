"""When a run that is about to end stops hoping for a broker that acknowledges nothing."""

from __future__ import annotations

import math

from confluent_kafka import KafkaError

from dfud.uploading.last_ack import LastAck

_TIMEOUT_S = 300.0  # if ``message.timeout.ms`` is 0; librdkafka's default of it


class DrainDeadline:
    """Decides when what is left is given up: ``message.timeout.ms`` after the last acknowledgement in any lane.

    While acknowledgements come, a message that librdkafka gives up on has only waited for its turn.
    """

    def __init__(self, timeout_s: float, last_ack: LastAck) -> None:
        """`timeout_s` may be infinite: librdkafka gives up on nothing then, but a run has to end."""
        self._has_timeout = not math.isinf(timeout_s)
        self._timeout_s = timeout_s if self._has_timeout else _TIMEOUT_S
        self._last_ack = last_ack
        self._is_draining = False
        self._waiting_since = math.inf  # s, monotonic; infinite if nothing waits
        self.error: KafkaError | None = None  # of the last message that was not delivered since the drain began

    @property
    def is_draining(self) -> bool:
        """Whether the run is about to end."""
        return self._is_draining

    def drain(self) -> None:
        """From now on there is a deadline."""
        self._is_draining = True
        if not self._has_timeout:
            self.error = KafkaError(KafkaError._TIMED_OUT, f"nothing was acknowledged for {self._timeout_s:.0f} s")

    def on_waiting(self, is_waiting: bool, now: float) -> None:
        """Record whether anything waits for its acknowledgement."""
        self._waiting_since = min(self._waiting_since, now) if is_waiting else math.inf

    def on_undelivered(self, error: KafkaError) -> None:
        """Record that librdkafka has given up on a message."""
        if self._is_draining:
            self.error = error

    def is_over(self, now: float) -> bool:
        """Return whether a message that is not delivered is not to be sent again."""
        if self.error is None:
            return False
        return now - max(self._last_ack.time, self._waiting_since) >= self._timeout_s
