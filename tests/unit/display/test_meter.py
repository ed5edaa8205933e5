"""Rates over the last seconds."""

from __future__ import annotations

import pytest

from dfud.display.meter import Meter


def test_a_rate_follows_what_happens_within_seconds() -> None:
    meter = Meter()
    assert meter.add(100.0, 0) == 0.0
    assert meter.add(101.0, 50) == 50.0
    for second in range(2, 12):
        rate = meter.add(100.0 + second, 50 + 10 * (second - 1))
    assert rate == pytest.approx(10.0, rel=0.2)
    for second in range(12, 20):
        rate = meter.add(100.0 + second, 150)
    assert rate == 0.0


def test_many_looks_keep_few_samples() -> None:
    meter = Meter()
    for number in range(10_000):
        meter.add(number / 1000, number)
    assert len(meter._samples) < 40
    assert meter.add(10.0, 10_000) == pytest.approx(1000, rel=0.01)


def test_what_is_begun_again_has_no_negative_rate() -> None:
    meter = Meter()
    meter.add(0.0, 100)
    assert meter.add(1.0, 0) == 0.0
