"""The ring against a model: what is reserved stays untouched until it is freed, and is then available again."""

from __future__ import annotations

from collections import deque

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dfud.uploading.ring import Ring

CAPACITY = 50
STEPS = st.lists(st.one_of(st.integers(0, CAPACITY), st.sampled_from(["free", "unreserve"])), max_size=60)


@given(STEPS)
@example([1, 0, "free", 2, "free"])  # an empty file is in the ring while it begins again at its start
@example([1, 0, "free", 0, "unreserve"])
def test_reserved_bytes_stay_untouched_until_they_are_freed(steps: list[int | str]) -> None:
    ring = Ring(CAPACITY)
    live: deque[tuple[int, int, int, int]] = deque()  # start, length, end, content
    passed_on = 0  # reservations that the producer knows of, which cannot be undone
    for number, step in enumerate(steps):
        if step == "free":
            if live:
                ring.free(live.popleft()[2])
            passed_on = len(live)
        elif step == "unreserve":
            if len(live) > passed_on:
                ring.unreserve()
                live.pop()
                passed_on = len(live)
        elif isinstance(step, int):
            room = ring.reserve(step)
            if room is None:
                assert live, "an empty ring has room for anything"
                assert sum(length for _, length, _, _ in live) + step > CAPACITY / 2
                continue
            passed_on = len(live)
            start, end = room
            assert 0 <= start <= start + step <= CAPACITY
            assert all(end > other for _, length, other, _ in live if step)
            live.append((start, step, end, number % 251))
            with ring.view(start, step) as view:
                view[:] = bytes([number % 251]) * step
        for start, length, _, content in live:
            with ring.view(start, length) as view:
                assert bytes(view) == bytes([content]) * length
        assert 0 <= ring.used <= CAPACITY
    while live:
        ring.free(live.popleft()[2])
    assert ring.reserve(CAPACITY) is not None


def test_an_empty_ring_begins_again_at_its_start() -> None:
    ring = Ring(100)
    for _ in range(5):
        start, end = ring.reserve(30) or (-1, -1)
        assert start == 0
        ring.free(end)
    assert ring.used == 0


def test_an_end_that_is_too_short_is_left_unused() -> None:
    ring = Ring(100)
    first = ring.reserve(60)
    second = ring.reserve(20)
    assert first == (0, 60)
    assert second == (60, 80)
    assert ring.reserve(30) is None
    ring.free(60)
    assert ring.reserve(30) == (0, 130)
    assert ring.used == 70
    ring.unreserve()
    assert ring.used == 20


@pytest.mark.parametrize("waiting", [True, False])
def test_freeing_tells_whether_the_chunker_waits(waiting: bool) -> None:
    ring = Ring(100)
    _, end = ring.reserve(100) or (0, 0)
    assert ring.reserve(1) is None
    ring.set_waiting(waiting)
    assert ring.free(end) is waiting
    assert ring.reserved == 100
