"""How long librdkafka may keep messages back."""

from __future__ import annotations

from dfud.uploading.linger import Linger


def test_nothing_is_to_be_sent_at_first() -> None:
    linger = Linger(by_load=True)
    assert linger.pause_s is None
    assert not linger.cut()


def test_what_comes_after_a_pause_is_sent_at_once() -> None:
    linger = Linger(by_load=True)
    linger.on_input(100.0)
    linger.on_produced()
    assert linger.pause_s == 0
    linger.on_input(100.021)
    assert linger.pause_s == 0


def test_in_a_stream_more_is_waited_for() -> None:
    linger = Linger(by_load=True)
    linger.on_input(100.0)
    linger.on_input(100.019)
    linger.on_produced()
    assert linger.pause_s == 0.004
    linger.on_input(101.0)
    assert linger.pause_s == 0


def test_it_is_cut_once_for_all_that_was_produced() -> None:
    linger = Linger(by_load=True)
    linger.on_produced()
    linger.on_produced()
    assert linger.cut()
    assert not linger.cut()
    assert linger.pause_s is None
    linger.on_produced()
    assert linger.cut()


def test_the_time_that_the_user_has_set_is_never_cut() -> None:
    linger = Linger(by_load=False)
    linger.on_input(100.0)
    linger.on_produced()
    assert linger.pause_s is None
    assert not linger.cut()
