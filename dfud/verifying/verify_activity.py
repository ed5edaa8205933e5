"""What the display shows of a verification while it reads the topic."""

from __future__ import annotations

from dfud.core.sizes import shown_size
from dfud.core.text import counted
from dfud.display.activity import Activity, Fact
from dfud.display.amounts import shown_rate, time_left
from dfud.display.meter import Meter
from dfud.messages import Checked


class VerifyActivity:
    """Responsible for the few numbers that say how far the topic is read."""

    def __init__(self, n_messages: int) -> None:
        """Begin to read so many messages."""
        self._n_messages = n_messages
        self._messages = self._bytes = 0
        self._byte_rate, self._message_rate = Meter(), Meter()
        self.is_broker_away = False

    def add(self, checked: Checked) -> None:
        """Count what a reader has read."""
        self._messages += checked.messages
        self._bytes += checked.bytes

    def __call__(self, now: float) -> Activity:
        """Return how things are at `now` (s, monotonic)."""
        total = max(self._n_messages, self._messages)
        rate = self._byte_rate.add(now, self._bytes)
        messages = self._message_rate.add(now, self._messages)
        left = time_left(total - self._messages, messages) if self._message_rate.is_steady else ""
        facts = [Fact(f"{shown_size(self._bytes)} compared"), Fact(shown_rate(rate))]
        if left:
            facts.append(Fact(left))
        facts.append(
            Fact("broker unreachable", "bad") if self.is_broker_away else Fact("broker reachable", "good")
        )
        share = self._messages / total if total else None
        return Activity(tuple(facts), share, f"{self._messages:,} of {counted(total, 'message')}")
