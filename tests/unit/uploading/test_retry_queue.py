"""Pauses between attempts, and the order of what is produced again."""

from __future__ import annotations

import pytest

from dfud.uploading.retry_queue import FIRST_RETRY_S, MAX_RETRY_S, Retry, RetryQueue
from tests.helpers.producing import make_upload

NEVER = 0.0


def retry(number: int, token: int = 1) -> Retry:
    return Retry(make_upload(token), number, b"")


def attempts(queue: RetryQueue, count: int, last_ack: float = NEVER) -> list[float]:
    """Fail `count` times, each time as soon as the pause is over; return the pauses."""
    now, pauses = 100.0, []
    for _ in range(count):
        queue.add(retry(1), now, last_ack)
        pauses.append(queue.due_at - now)
        now = queue.due_at
        assert len(queue.take_due(now)) == 1
    return pauses


def test_pauses_are_doubled_up_to_the_longest() -> None:
    assert attempts(RetryQueue(), 8) == [0.25, 0.5, 1.0, 2.0, 4.0, 5.0, 5.0, 5.0]
    assert (FIRST_RETRY_S, MAX_RETRY_S) == (0.25, 5.0)


def test_an_acknowledgement_since_the_last_attempt_makes_them_short_again() -> None:
    queue = RetryQueue()
    attempts(queue, 5)
    queue.add(retry(1), now=200.0, last_ack=199.0)
    assert queue.due_at == 200.25
    assert queue.pause_s == 0.5


def test_an_acknowledgement_before_the_last_attempt_does_not() -> None:
    queue = RetryQueue()
    attempts(queue, 2, last_ack=99.0)
    queue.add(retry(1), now=200.0, last_ack=99.0)
    assert queue.due_at == 201.0


def test_all_that_fails_during_a_pause_is_taken_at_its_end_in_order() -> None:
    queue = RetryQueue()
    for number, now in ((3, 10.0), (1, 10.1), (2, 10.2)):
        queue.add(retry(number), now, NEVER)
    assert not queue.is_due(10.24)
    assert queue.take_due(10.24) == []
    assert len(queue) == 3
    assert queue.is_due(10.25)
    assert [each.number for each in queue.take_due(10.25)] == [3, 1, 2]
    assert len(queue) == 0
    assert queue.pause_s == pytest.approx(0.5)  # one pause for all three


def test_a_retry_at_once_has_no_pause_but_counts_as_an_attempt() -> None:
    queue = RetryQueue()
    queue.add(retry(1), 10.0, NEVER, at_once=True)
    assert [each.number for each in queue.take_due(10.0)] == [1]
    queue.add(retry(1), 10.0, NEVER)
    assert queue.due_at == 10.5


def test_an_empty_queue_has_nothing_due_but_no_pause_either() -> None:
    queue = RetryQueue()
    assert queue.is_due(0.0)
    assert queue.take_due(0.0) == []


def test_retries_of_a_failed_file_are_left_out() -> None:
    queue = RetryQueue()
    one, other = retry(1, token=1), retry(1, token=2)
    queue.add(one, 10.0, NEVER)
    queue.add(other, 10.0, NEVER)
    one.upload.failure = "dropped"
    assert queue.take_due(11.0) == [other]
