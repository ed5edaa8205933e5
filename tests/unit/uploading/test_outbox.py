"""The order of messages and the space in the ring."""

from __future__ import annotations

from typing import Any

import pytest

from dfud.uploading.outbox import Outbox, Outgoing
from dfud.uploading.retry_queue import Retry
from dfud.uploading.ring import Ring
from tests.helpers.producing import RING_BYTES, file_run, make_upload


@pytest.fixture
def ring() -> Ring:
    return Ring(RING_BYTES)


def shown(outgoing: Outgoing | None) -> tuple[int, int, bytes] | None:
    """Return token, chunk and value."""
    if outgoing is None:
        return None
    upload, number, (value, _, _) = outgoing
    return upload.start.token, number, value


def add_file(outbox: Outbox, ring: Ring, token: int, data: bytes) -> Any:
    upload = make_upload(token, len(data))
    outbox.add_run(upload, file_run(ring, token, data))
    return upload


def test_chunks_come_out_in_order_with_their_bytes(ring: Ring) -> None:
    outbox = Outbox(ring, lambda: None)
    assert not outbox
    add_file(outbox, ring, 1, b"0123456789abcde")
    add_file(outbox, ring, 2, b"")
    assert outbox
    assert shown(outbox.take()) == (1, 1, b"0123456789")
    assert shown(outbox.take()) == (1, 2, b"abcde")
    assert shown(outbox.take()) == (2, 1, b"")
    assert outbox.take() is None
    assert not outbox


def test_the_space_of_a_run_is_freed_when_the_message_after_it_is_taken(ring: Ring) -> None:
    outbox = Outbox(ring, lambda: None)
    add_file(outbox, ring, 1, bytes(20))
    add_file(outbox, ring, 2, bytes(10))
    used = []
    while outbox.take() is not None:
        used.append(ring.used)
    assert used == [30, 30, 10]
    assert ring.used == 0


def test_a_chunk_is_copied_no_earlier_than_it_is_taken(ring: Ring) -> None:
    outbox = Outbox(ring, lambda: None)
    upload = make_upload(1, 20)
    run = file_run(ring, 1, bytes(20))
    outbox.add_run(upload, run)
    outbox.take()
    with ring.view(run.start, 20) as view:
        view[:] = b"x" * 20
    assert shown(outbox.take()) == (1, 2, b"x" * 10)


def test_what_is_put_back_is_the_next_again_and_keeps_its_space(ring: Ring) -> None:
    outbox = Outbox(ring, lambda: None)
    add_file(outbox, ring, 1, bytes(10))
    outgoing = outbox.take()
    assert outgoing is not None
    outbox.put_back(outgoing)
    assert outbox
    assert ring.used == 10
    assert outbox.take() is outgoing
    assert ring.used == 10
    assert outbox.take() is None
    assert ring.used == 0


def test_retries_go_before_the_rest_of_a_run(ring: Ring) -> None:
    outbox = Outbox(ring, lambda: None)
    upload = add_file(outbox, ring, 1, bytes(30))
    outbox.take()
    outbox.add_retries([Retry(upload, 1, b"again"), Retry(upload, 9, b"more")])
    assert shown(outbox.take()) == (1, 1, b"again")
    assert shown(outbox.take()) == (1, 9, b"more")
    assert shown(outbox.take()) == (1, 2, bytes(10))


def test_messages_of_a_failed_file_are_left_out_and_their_space_is_freed(ring: Ring) -> None:
    outbox = Outbox(ring, lambda: None)
    failed = add_file(outbox, ring, 1, bytes(30))
    add_file(outbox, ring, 2, b"other")
    outgoing = outbox.take()
    assert outgoing is not None
    outbox.put_back(outgoing)
    outbox.add_retries([Retry(failed, 1, b"again")])
    failed.failure = "refused"
    assert shown(outbox.take()) == (2, 1, b"other")
    assert ring.used == 5


def test_unused_space_is_freed_in_its_turn(ring: Ring) -> None:
    outbox = Outbox(ring, lambda: None)
    add_file(outbox, ring, 1, bytes(10))
    _, end = ring.reserve(100) or (0, 0)
    outbox.add_unused(end)
    outbox.take()
    assert ring.used == 110
    assert outbox.take() is None
    assert ring.used == 0


def test_a_chunker_that_waits_is_woken_for_each_freed_run(ring: Ring) -> None:
    woken: list[int] = []
    outbox = Outbox(ring, lambda: woken.append(ring.used))
    add_file(outbox, ring, 1, bytes(10))
    add_file(outbox, ring, 2, bytes(10))
    ring.set_waiting(True)
    outbox.take()
    assert woken == []
    outbox.take()
    assert woken == [10]
    ring.set_waiting(False)
    outbox.take()
    assert woken == [10]
