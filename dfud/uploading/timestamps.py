"""The timestamps of messages where the machine's clock cannot be relied on."""

from __future__ import annotations

from confluent_kafka import KafkaError

from dfud.logs.times import ForwardClock

_MIN_AHEAD_NS = 1_000_000  # by which the machine's clock was set back, before messages need other timestamps
_REFUSALS = (KafkaError.INVALID_TIMESTAMP, KafkaError.INVALID_RECORD)


class Timestamps:
    """Responsible for timestamps that never go back, as long as the broker accepts them.

    A reader tells by them which version was sent last. librdkafka's own are the time of the machine's clock.
    """

    def __init__(self, clock: ForwardClock) -> None:
        self._clock = clock
        self.n_late = 0  # messages that were sent with a timestamp of `late`, and not refused for it

    def late(self) -> int:
        """Return the timestamp (ms) that messages need if the machine's clock was set back; else 0."""
        clock = self._clock
        return clock.now_ns() // 1_000_000 + 1 if clock.ahead_ns >= _MIN_AHEAD_NS else 0

    def on_undelivered(self, error: KafkaError) -> bool:
        """Return whether a message was refused for a late timestamp; the next ones have the machine's time."""
        if not self.n_late or error.code() not in _REFUSALS:
            return False
        self.n_late -= 1
        self._clock.set_back()  # the broker does not accept a time that is so much later than its own
        return True
