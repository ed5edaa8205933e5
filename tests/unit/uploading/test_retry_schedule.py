"""A schedule yields what is due, in its order, and nothing that was discarded."""

from __future__ import annotations

import pytest

from dfud.uploading.retry_schedule import RetrySchedule


def test_what_is_due_is_yielded_in_its_order() -> None:
    schedule = RetrySchedule()
    for token, time in ((1, 3.0), (2, 1.0), (3, 2.0)):
        schedule.add(token, time)
    assert (schedule.next_time, len(schedule)) == (1.0, 3)
    assert list(schedule.pop_due(0.9)) == []
    assert list(schedule.pop_due(2.0)) == [2, 3]
    assert len(schedule) == 1
    assert (schedule.next_time, schedule.time_of(1)) == (3.0, 3.0)


def test_what_is_discarded_or_scheduled_anew_has_no_earlier_time() -> None:
    schedule = RetrySchedule()
    for token in (1, 2):
        schedule.add(token, 1.0)
        schedule.discard(token)
    schedule.discard(2)
    schedule.add(2, 5.0)
    assert schedule.next_time == 5.0
    assert list(schedule.pop_due(4.0)) == []
    assert list(schedule.pop_due(5.0)) == [2]
    assert list(schedule.pop_due(9.0)) == []
    with pytest.raises(KeyError):
        schedule.time_of(2)
