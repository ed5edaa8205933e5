"""When a run that is about to end gives up."""

from __future__ import annotations

import math
import os

import pytest

from dfud.uploading.drain_deadline import DrainDeadline
from dfud.uploading.last_ack import LastAck
from tests.helpers.producing import TIMED_OUT


def failed(timeout_s: float = 10.0, last_ack: float = 1000.0, waiting_since: float = 1000.0) -> DrainDeadline:
    """Return the deadline of a drain in which a message was not delivered."""
    deadline = DrainDeadline(timeout_s, LastAck(last_ack))
    deadline.drain()
    deadline.on_waiting(True, waiting_since)
    deadline.on_undelivered(TIMED_OUT)
    return deadline


def test_it_is_over_after_a_whole_timeout_of_silence() -> None:
    assert not failed().is_over(1009.9)
    assert failed().is_over(1010.0)


@pytest.mark.parametrize("times", [{"last_ack": 1005.0}, {"waiting_since": 1005.0}], ids=["acked", "waiting"])
def test_silence_begins_with_the_last_acknowledgement_or_with_the_wait_for_one(times: dict[str, float]) -> None:
    assert not failed(**times).is_over(1014.9)
    assert failed(**times).is_over(1015.0)


def test_it_is_never_over_while_running_or_before_anything_has_failed() -> None:
    deadline = DrainDeadline(10.0, LastAck(1000.0))
    deadline.on_waiting(True, 1000.0)
    deadline.on_undelivered(TIMED_OUT)
    deadline.drain()
    assert not deadline.is_over(5000.0)


def test_without_a_timeout_it_is_over_after_five_minutes_whether_anything_has_failed_or_not() -> None:
    deadline = DrainDeadline(math.inf, LastAck(1000.0))
    deadline.on_waiting(True, 1000.0)
    assert not deadline.is_over(5000.0)
    deadline.drain()
    assert not deadline.is_over(1299.0)
    assert deadline.is_over(1300.0)


def test_lanes_know_of_the_acknowledgements_of_the_others() -> None:
    last_ack = LastAck(1000.0)
    child = os.fork()
    if not child:
        last_ack.advance(1007.0)
        os._exit(0)
    os.waitpid(child, 0)
    assert last_ack.time == 1007.0
    last_ack.advance(1003.0)
    assert last_ack.time == 1007.0
