"""How many bytes librdkafka is given before they are acknowledged."""

from __future__ import annotations

import pytest

from dfud.uploading.send_window import FIRST_WINDOW_BYTES, SendWindow, resend_timeout

CHUNK = 16_384


class Line:
    """A line of so many bytes per second and a minimal latency, always kept full through a window."""

    def __init__(self, rate: float, latency_s: float, timeout_s: float = 60.0) -> None:
        self.rate, self.latency_s = rate, latency_s
        self.window = SendWindow(timeout_s)
        self.now = 1000.0
        self.longest = 0.0  # latency, s
        self._free_at = self.now
        self._sent: list[tuple[float, float]] = []  # when each message was given and is acknowledged

    def run(self, messages: int) -> None:
        """Send so many messages."""
        for _ in range(messages):
            while not self.window.admit(CHUNK):
                self._acknowledge()
            self._free_at = max(self._free_at, self.now) + CHUNK / self.rate
            self._sent.append((self.now, self._free_at + self.latency_s))

    def _acknowledge(self) -> None:
        given_at, self.now = self._sent.pop(0)
        latency_s = self.now - given_at
        self.longest = max(self.longest, latency_s)
        self.window.remove(CHUNK)
        self.window.on_acked(latency_s, self.now)


@pytest.mark.parametrize("latency_s", [0.001, 0.1, 1.0])
def test_on_a_fast_line_it_soon_is_no_limit(latency_s: float) -> None:
    line = Line(1e9, latency_s)
    line.run(20_000)
    assert line.window.limit > 64_000_000
    assert line.now - 1000.0 < 15 * latency_s + 1.0


@pytest.mark.parametrize("rate", [2_000, 5_000, 80_000, 500_000])
def test_on_a_slow_line_nothing_waits_for_longer_than_the_timeout(rate: float) -> None:
    line = Line(rate, 0.1)
    line.run(2_000)
    assert line.longest < 60.0
    assert line.window.limit < 60.0 * rate


def test_a_line_that_becomes_slow_gets_less() -> None:
    line = Line(1e8, 0.01)
    line.run(2_000)
    line.rate = 80_000.0
    line.run(6_000)
    line.longest = 0.0
    line.run(500)
    assert line.longest < 60.0


def test_one_message_is_always_admitted() -> None:
    window = SendWindow(60.0)
    assert window.admit(100 * FIRST_WINDOW_BYTES)
    assert not window.admit(1)
    window.remove(100 * FIRST_WINDOW_BYTES)
    assert window.admit(1)


def test_messages_that_are_stuck_do_not_hold_up_others_for_ever() -> None:
    window = SendWindow(60.0)
    assert window.admit(FIRST_WINDOW_BYTES)
    assert not window.admit(1)
    window.check(1000.0)
    window.check(1044.0)
    assert not window.admit(1), "it may be a slow line"
    window.check(1046.0)
    assert window.admit(1)


def test_messages_that_are_stuck_on_a_quick_line_hold_up_others_for_a_moment() -> None:
    window = SendWindow(60.0)
    assert window.admit(2 * FIRST_WINDOW_BYTES)
    window.on_acked(0.1, 1000.0)
    assert not window.admit(1)
    window.check(1000.0)
    window.check(1016.0)
    assert not window.admit(1)
    window.check(1016.0)
    window.check(1032.0)
    assert window.admit(1)


def test_the_shorter_timeout_counts() -> None:
    assert resend_timeout({}) == 60.0
    assert resend_timeout({"message.timeout.ms": 2000}) == 2.0
    assert resend_timeout({"message.timeout.ms": 0, "socket.timeout.ms": "10000"}) == 10.0
